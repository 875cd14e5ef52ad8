"""The schema: one dataclass a group, one line of doc a field, and the checks that need several fields.

Values live in `conf/`, types and documentation here; what a model or a kind of data adds of its own stands in its own
file as `<Class>Config`. Nothing heavy is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from attnpred.config import slices
from attnpred.config.optimizer_options import OptimizerConfig
from attnpred.config.schema import Invalid, option
from attnpred.config.trainer_options import CheckpointConfig, TrainerConfig

Modality = str  # the name of a folder of attnpred/modalities
Shape = Literal["whole", "parts", "sequence"]  # one answer an input, one a part, or a sequence that is generated
AttentionLoss = Literal["entropy", "supervised", "faithful"]
NAME = re.compile(r"\w[\w.-]{0,63}")
# Sizes beyond which a number can only be a mistake
MOST_LAYERS, MOST_FEATURES, MOST_HEADS, MOST_EXAMPLES = 1_000, 65_536, 1_024, 1_000_000
Removal = str  # how a part of an input is taken away, by one of its modality's names


@dataclass(kw_only=True)
class ModelConfig:
    """What every model has; each model's file adds its own."""

    accepts: ClassVar[tuple[Modality, ...]] = ()
    answers: ClassVar[tuple[Shape, ...]] = ("whole",)  # shapes of answers that it can give
    any_size: ClassVar[bool] = False  # whether one model reads images of several sizes

    _target_: str = option("Class of the model.")
    init_from: str | None = option(
        "Run directory whose weights to begin with, where names and shapes agree.", default=None
    )
    frozen_levels: int = option(
        "Lowest levels that are not trained: embedding or stem first, then layers.", ge=0, le=MOST_LAYERS, default=0
    )
    frozen: list[str] = option("Weights that are not trained: the beginnings of their names.", default=[])
    attention_loss: AttentionLoss | None = option(
        "Trains attention too: to be sharper (entropy), to find recorded evidence (supervised), or to predict what "
        "leaving parts out would show (faithful), by weights of its own that the answer does not feel.",
        default=None,
    )
    attention_weight: float = option("Weight of that beside the task's loss.", ge=0, default=0.1)
    recompute: bool = option(
        "Make activations again in the backward pass: less memory, a third more time.", default=False
    )

    def tokenizer_source(self) -> str | None:
        """Hub id or directory of the tokenizer that the model's weights demand; None where any will do."""
        return None


@dataclass(kw_only=True)
class DataConfig:
    """What every dataset has; each kind of data adds its own."""

    modality: ClassVar[Modality]

    _target_: str = option("Class that prepares and batches the data.")
    name: str = option("Short name, used in the run directory's name.")
    source: str = option(
        "Hub id, a local directory in the hub's layout, a file (CSV, TSV, JSON lines or Parquet), or builtin:NAME."
    )
    subset: str | None = option("Configuration of the dataset on the hub.", default=None)
    revision: str | None = option("Hub revision to pin; null takes the newest.", default=None)
    rows: int | None = option(
        "Rows to generate, of built-in data that is generated; null for any other.",
        ge=1,
        le=1_000_000_000,
        default=None,
    )
    label_column: str | list[str] | None = option(
        "Column that holds the target; several, where the task reads several. null finds it by name and content."
    )
    targets: dict[str, Any] | None = option(
        "Columns of targets of other kinds than label_column's, by kind: number for regression, labels for "
        "multilabel. null: label_column holds whatever the task reads.",
        default=None,
    )
    sampling: Literal["all", "balanced"] = option(
        "Which rows an epoch trains on: all, or as many drawn at random, such that every class comes equally often.",
        default="all",
    )
    evidence_column: str | None = option(
        "Column that says where in the example its label was decided: [start, end) characters, or boxes in pixels.",
        default=None,
    )
    on_bad_row: Literal["fail", "skip"] = option(
        "What becomes of rows without label or text, or whose image cannot be read or has another size.",
        default="fail",
    )
    paths_outside: bool = option(
        "Whether rows may name pictures by paths that lead out of the source's own directory.", default=False
    )
    train_split: str = option("Split of the source to train on.", default="train")
    val_split: str | None = option("Split to validate on; null carves it from train.", default=None)
    test_split: str | None = option("Split to test on; null carves it from train.", default=None)
    val_fraction: float = option("Share of train carved out for validation.", gt=0, lt=1, default=0.1)
    test_fraction: float = option("Share of train carved out for test.", gt=0, lt=1, default=0.1)
    split_seed: int = option(
        "Seed of the carving, apart from `seed` so that every run has the same splits.", ge=0, default=0
    )
    batch_size: int = option("Examples a training batch and device.", ge=1, le=MOST_EXAMPLES, default=32)
    eval_batch_size: int = option(
        "Examples a batch in validation, test and prediction; of texts at most, and then of the longest.",
        ge=1,
        le=MOST_EXAMPLES,
        default=128,
    )
    cache_dir: str = option("Where prepared data is kept; ~ is the home directory.", default="~/.cache/attnpred")
    augment_with: list[str] = option(
        "Dotted names of functions of a package, of batch and epoch, that change training batches, one after another.",
        default=[],
    )

    def target_columns(self, reads: str) -> tuple[list[str], str] | None:
        """The columns of the kind of target that a task `reads`, and the option that names them; None for none."""
        if self.targets is None or (reads == "class" and reads not in self.targets):
            found, option_name = self.label_column, "data.label_column"
        elif reads in self.targets:
            found, option_name = self.targets[reads], f"data.targets.{reads}"
        else:
            return None
        return ([found] if isinstance(found, str) else list(found or [])), option_name

    def mirrors(self) -> bool:
        """Whether evaluation looks at each example and its mirror image."""
        return False

    def resizes(self) -> bool:
        """Whether training shows images of several sizes."""
        return False

    def check(self) -> None:
        if not self.source.strip():
            raise Invalid("source", "names nothing; give a hub id, a file or a directory")
        if not self.cache_dir.strip():
            raise Invalid("cache_dir", f"names no directory; give one, such as {DataConfig.cache_dir}")
        if self.label_column in ("", []):
            raise Invalid("label_column", "names no column; give one, or a list of them")
        for columns in (self.targets or {}).values():
            several = columns if isinstance(columns, list) else [columns]
            if not several or not all(isinstance(name, str) and name for name in several):
                raise Invalid("targets", "each kind needs the name of its column, or a list of names")
        if not NAME.fullmatch(self.name):
            raise Invalid("name", "becomes part of a directory's name; use letters, digits, _, - and .")
        carved = self.val_fraction * (self.val_split is None) + self.test_fraction * (self.test_split is None)
        if carved >= 1:
            raise Invalid("val_fraction", "carving validation and test leaves nothing to train on; lower the fractions")


@dataclass(kw_only=True)
class TokenizerConfig:
    """The tokenizer that is trained on the train split, for models that bring none."""

    kind: Literal["wordpiece", "bpe", "unigram", "word"] = option("Algorithm that finds the vocabulary.")
    vocab_size: int = option("Entries in the vocabulary, special ones included.", ge=16, le=10_000_000)
    lowercase: bool = option("Lower-case before splitting.")


@dataclass(kw_only=True)
class AugmentConfig:
    """Changes made to training images, on whole batches; 0 switches one off."""

    crop: int = option("Pixels of padding from which a shifted crop is taken.", ge=0, le=MOST_FEATURES, default=0)
    flip: bool = option("Mirror left and right, in every other epoch; half of the images in each.", default=False)
    cutout: int = option("Side in pixels of the square that is blanked.", ge=0, le=MOST_FEATURES, default=0)
    mixup: float = option("Strength alpha of blending two images and their targets.", ge=0, default=0.0)
    cutmix: float = option("Strength alpha of pasting a patch of another image.", ge=0, default=0.0)
    small_share: float = option(
        "Share of the epochs, the first ones, that see images brought to `small_side`.", ge=0, lt=1, default=0.0
    )
    small_side: int | None = option(
        "Their smaller side in pixels: fewer take less time.", ge=4, le=MOST_FEATURES, default=None
    )

    def check(self) -> None:
        if self.small_share and self.small_side is None:
            raise Invalid("small_share", "needs data.augment.small_side, in pixels")
        if self.small_side is not None and not self.small_share:
            raise Invalid("small_side", "needs data.augment.small_share, the share of the epochs that see it")


def metric_name(dotted: str) -> str:
    """What a further metric is logged as: its class's name in small letters."""
    return dotted.rpartition(".")[2].lower()


@dataclass(kw_only=True)
class TaskConfig:
    """What every task has; each task's file adds its own."""

    reads: ClassVar[str] = "class"  # kind of target: class, number, labels
    shape: ClassVar[Shape] = "whole"  # of the answer
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {}  # what is measured, and whether more of it is better
    monitor: ClassVar[str] = "loss"  # that of them by which a checkpoint is chosen, unless checkpoint.monitor says

    _target_: str = option("Class of the task.")
    loss_function: str | None = option(
        "Dotted name of a function of a package, of answer and target, that gives the training loss in place of the "
        "task's own.",
        default=None,
    )
    further_metrics: list[str] = option(
        "Dotted names of classes of a package, of torchmetrics' kind: each is fed answers and targets.", default=[]
    )


@dataclass(kw_only=True)
class ExplainerConfig:
    """What every explainer has; each one's file adds its own."""

    _target_: str = option("Class of the explainer.")


@dataclass(kw_only=True)
class CallbackConfig:
    """What every callback of a package has; each one's file adds its own."""

    _target_: str = option("Class of the callback, one of Lightning's kind that takes its options.")


@dataclass(kw_only=True)
class OtherLoggerConfig:
    """What every logger of a package has; each one's file adds its own."""

    _target_: str = option("Class of the logger, one of Lightning's kind that takes its options and the run directory.")


@dataclass(kw_only=True)
class LoggerConfig:
    tensorboard: bool = option("Write TensorBoard events.")
    csv: bool = option("Write metrics.csv.")
    wandb: bool = option("Log to Weights & Biases (install attnpred[wandb]).")
    mlflow: bool = option("Log to MLflow (install attnpred[mlflow]).")
    project: str = option("Project or experiment name at W&B and MLflow.")
    tracking_uri: str | None = option("MLflow server; null keeps a local folder in the run directory.")
    offline: bool = option("Let W&B write locally, to be synchronised later.")
    others: dict[str, OtherLoggerConfig] = option("Loggers of packages, by names of their own.", default={})

    def check(self) -> None:
        address = self.tracking_uri
        if address is not None and not address.startswith(("http://", "https://")):
            raise Invalid("tracking_uri", "must be the http:// or https:// address of a server, or null")
        if address is not None and "@" in urlsplit(address).netloc:
            raise Invalid(
                "tracking_uri", "holds a password; give it by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )


@dataclass(kw_only=True)
class LauncherConfig:
    """What every launcher of a sweep's jobs has; each one's file adds its own."""

    _target_: str = option("Class that starts the jobs.")
    n_jobs: int = option("Jobs at once.", ge=1, le=100_000)
    on_failure: Literal["continue", "stop"] = option(
        "When a job has failed: continue with the others, or stop, with those that run saved."
    )


@dataclass(kw_only=True)
class SweeperConfig:
    """What every sweeper has; each one's file adds its own."""

    _target_: str = option("Class that decides which jobs a sweep is made of.")
    params: dict[str, Any] = option("What is swept over: the name of an option, and its values as one types them.")


@dataclass(kw_only=True)
class Config:
    model: ModelConfig
    data: DataConfig
    task: TaskConfig
    optimizer: OptimizerConfig  # before the trainer, which takes its epochs: a mistake is named where it was made
    trainer: TrainerConfig
    checkpoint: CheckpointConfig
    logger: LoggerConfig
    callbacks: dict[str, CallbackConfig] = option("Callbacks of packages, by names of their own.", default={})
    seed: int = option("Seed of weights, order, dropout and augmentation.", ge=0, le=2**32 - 1)
    output_dir: str = option("Where run directories are made.")
    resume: Literal["auto", "never"] | None = option(
        "auto goes on with the newest run of this same config in output_dir that is not done, if there is one. "
        "A sweep does so by itself, unless this is never."
    )

    def check(self) -> None:
        self._check_named()
        self._choose_monitor()
        if self.trainer.strategy == "fsdp" and (self.optimizer.ema is not None or self.optimizer.name == "muon"):
            at_fault = "name" if self.optimizer.name == "muon" else "ema"
            raise Invalid(f"optimizer.{at_fault}", "needs the whole weights on every device; use trainer=ddp")
        if self.data.resizes() and not self.model.any_size:
            raise Invalid(
                "data.augment.small_share", "this model reads images of one size; set it to 0, and small_side to null"
            )

    def target_columns(self) -> tuple[list[str], str]:
        """The columns that the task reads as its target, and the option that names them."""
        found = self.data.target_columns(self.task.reads)
        assert found is not None, "tasks that the data does not fit are refused before"
        return found

    def _check_named(self) -> None:
        """Refuses names of functions and classes that surely are not there, without importing anything."""
        if self.task.loss_function is not None:
            slices.check(self.task.loss_function, "task.loss_function")
        for name in self.task.further_metrics:
            slices.check(name, "task.further_metrics")
        for name in self.data.augment_with:
            slices.check(name, "data.augment_with")

    def _choose_monitor(self) -> None:
        """Settles what the config leaves to the task: by which metric a checkpoint is chosen, and which way."""
        known: dict[str, Literal["max", "min"] | None] = {f"val/{n}": mode for n, mode in self.task.metrics.items()}
        known |= {f"val/{metric_name(dotted)}": None for dotted in self.task.further_metrics}
        monitor = self.checkpoint.monitor or f"val/{self.task.monitor}"
        if monitor not in known:
            raise Invalid("checkpoint.monitor", f"no such metric; choose one of {', '.join(known)}")
        self.checkpoint.monitor = monitor
        self.checkpoint.mode = self.checkpoint.mode or known[monitor]
        if self.checkpoint.mode is None:
            raise Invalid("checkpoint.mode", f"is not known of {monitor}; say max or min")
