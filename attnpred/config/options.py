"""The schema: one dataclass a group, one line of doc a field, and the checks that need several fields.

Values live in `conf/`, types and documentation here; what a model or a kind of data adds of its own stands in its own
file as `<Class>Config`. Nothing heavy is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from attnpred.config.schema import Invalid, option

Modality = str  # the name of a folder of attnpred/modalities
Shape = Literal["whole", "parts", "sequence"]  # one answer an input, one a part, or a sequence that is generated
AttentionLoss = Literal["entropy", "supervised", "faithful"]
NAME = re.compile(r"\w[\w.-]{0,63}")
Removal = str  # how a part of an input is taken away, by one of its modality's names


@dataclass(kw_only=True)
class ModelConfig:
    """What every model has; each model's file adds its own."""

    accepts: ClassVar[tuple[Modality, ...]] = ()
    answers: ClassVar[tuple[Shape, ...]] = ("whole",)  # shapes of answers that it can give
    any_size: ClassVar[bool] = False  # whether one model reads images of several sizes

    _target_: str = option("Class of the model.")
    init_from: str | None = option("Run directory whose weights to begin with, where names and shapes agree.")
    frozen_levels: int = option("Lowest levels that are not trained: embedding or stem first, then layers.", ge=0)
    frozen: list[str] = option("Weights that are not trained: the beginnings of their names.")
    attention_loss: AttentionLoss | None = option(
        "Trains attention too: to be sharper (entropy), to find recorded evidence (supervised), or to predict what "
        "leaving parts out would show (faithful), by weights of its own that the answer does not feel."
    )
    attention_weight: float = option("Weight of that beside the task's loss.", ge=0)
    recompute: bool = option("Make activations again in the backward pass: less memory, a third more time.")

    def tokenizer_source(self) -> str | None:
        """Hub id or directory of the tokenizer that the model's weights demand; None where any will do."""
        return None


@dataclass(kw_only=True)
class DataConfig:
    """What every dataset has; each kind of data adds its own."""

    modality: ClassVar[Modality]

    _target_: str = option("Class that prepares and batches the data.")
    name: str = option("Short name, used in the run directory's name.")
    source: str = option("Hub id, or a local directory in the hub's layout, or builtin:NAME.")
    subset: str | None = option("Configuration of the dataset on the hub.")
    revision: str | None = option("Hub revision to pin; null takes the newest.")
    rows: int | None = option("Rows to generate, of built-in data that is generated; null for any other.", ge=1)
    label_column: str | list[str] = option("Column that holds the target; several, where the task reads several.")
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
        "Column that says where in the example its label was decided: [start, end) characters, or boxes in pixels."
    )
    on_bad_row: Literal["fail", "skip"] = option(
        "What becomes of rows without label or text, or whose image cannot be read or has another size."
    )
    train_split: str = option("Split of the source to train on.")
    val_split: str | None = option("Split to validate on; null carves it from train.")
    test_split: str | None = option("Split to test on; null carves it from train.")
    val_fraction: float = option("Share of train carved out for validation.", gt=0, lt=1)
    test_fraction: float = option("Share of train carved out for test.", gt=0, lt=1)
    split_seed: int = option("Seed of the carving, apart from `seed` so that every run has the same splits.", ge=0)
    batch_size: int = option("Examples a training batch and device.", ge=1)
    eval_batch_size: int = option(
        "Examples a batch in validation, test and prediction; of texts at most, and then of the longest.", ge=1
    )
    cache_dir: str = option("Where prepared data is kept; ~ is the home directory.")

    def target_columns(self, reads: str) -> tuple[list[str], str] | None:
        """The columns of the kind of target that a task `reads`, and the option that names them; None for none."""
        if self.targets is None or (reads == "class" and reads not in self.targets):
            found, option_name = self.label_column, "data.label_column"
        elif reads in self.targets:
            found, option_name = self.targets[reads], f"data.targets.{reads}"
        else:
            return None
        return ([found] if isinstance(found, str) else list(found)), option_name

    def mirrors(self) -> bool:
        """Whether evaluation looks at each example and its mirror image."""
        return False

    def resizes(self) -> bool:
        """Whether training shows images of several sizes."""
        return False

    def check(self) -> None:
        if not self.label_column:
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
    vocab_size: int = option("Entries in the vocabulary, special ones included.", ge=16)
    lowercase: bool = option("Lower-case before splitting.")


@dataclass(kw_only=True)
class AugmentConfig:
    """Changes made to training images, on whole batches; 0 switches one off."""

    crop: int = option("Pixels of padding from which a shifted crop is taken.", ge=0)
    flip: bool = option("Mirror left and right, in every other epoch; half of the images in each.")
    cutout: int = option("Side in pixels of the square that is blanked.", ge=0)
    mixup: float = option("Strength alpha of blending two images and their labels.", ge=0)
    cutmix: float = option("Strength alpha of pasting a patch of another image.", ge=0)
    small_share: float = option(
        "Share of the epochs, the first ones, that see images brought to `small_side`.", ge=0, lt=1, default=0.0
    )
    small_side: int | None = option("Their smaller side in pixels: fewer take less time.", ge=4, default=None)

    def check(self) -> None:
        if self.small_share and self.small_side is None:
            raise Invalid("small_share", "needs data.augment.small_side, in pixels")
        if self.small_side is not None and not self.small_share:
            raise Invalid("small_side", "needs data.augment.small_share, the share of the epochs that see it")


@dataclass(kw_only=True)
class TaskConfig:
    """What every task has; each task's file adds its own."""

    reads: ClassVar[str] = "class"  # kind of target: class, number, labels
    shape: ClassVar[Shape] = "whole"  # of the answer
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {}  # what is measured, and whether more of it is better
    monitor: ClassVar[str] = "loss"  # that of them by which a checkpoint is chosen, unless checkpoint.monitor says

    _target_: str = option("Class of the task.")


@dataclass(kw_only=True)
class ExplainerConfig:
    """What every explainer has; each one's file adds its own."""

    _target_: str = option("Class of the explainer.")


@dataclass(kw_only=True)
class TrainerConfig:
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = option("Kind of device.")
    devices: int | Literal["auto"] = option(
        "How many devices on each machine, a process each; auto takes every GPU, or one CPU.", ge=1
    )
    nodes: int = option("Machines that share the work; torchrun or srun starts the processes on each.", ge=1, default=1)
    strategy: Literal["auto", "ddp", "fsdp"] = option("How several devices share the work.")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true"] = option(
        "Number format; auto takes bf16 where the hardware multiplies in it."
    )
    compile: bool = option("Compile the model: a minute's wait, then faster steps.")
    max_epochs: int = option("Passes over the training data.", ge=1)
    max_steps: int | None = option("Optimizer steps after which training ends earlier.", ge=1)
    accumulate: int = option("Batches whose gradients make one optimizer step.", ge=1)
    clip_norm: float | None = option("Gradients are scaled down to this norm.", gt=0)
    validate_every_steps: int | None = option("Training batches between validations; null: once an epoch.", ge=1)
    patience: int | None = option("Validations without improvement after which training stops.", ge=1)
    log_every_steps: int = option("Steps between two points of the training curves.", ge=1)
    limit_batches: int | None = option("Use only so many batches of every split, to try things out.", ge=1)
    deterministic: bool = option("Use only operations that repeat bit for bit; slower.")
    find: Literal["lr", "batch_size"] | None = option(
        "Try learning rates, or batch sizes, before training, and train with what was found."
    )
    attention_examples: int = option(
        "Validation examples on which every validation measures how true the model's attention is; 0 measures none.",
        ge=0,
    )
    overfit_batches: int | None = option("Train and validate on the same few batches, to see that it learns.", ge=1)
    profile: bool = option("Write a profile of some steps to the run directory.")
    on_nan: Literal["stop", "rewind"] = option(
        "Where a loss or gradient is no number: stop, or go back to the last checkpoint and on at half the rate."
    )
    on_oom: Literal["stop", "halve"] = option(
        "Where a batch does not fit into memory: stop, or go on with batches of half the size, twice as many a step."
    )
    detect_anomaly: bool = option("Name the operation that produced a NaN gradient; much slower.")

    def check(self) -> None:
        if self.strategy == "fsdp" and self.accelerator == "cpu":
            raise Invalid("strategy", "needs GPUs; on CPU use trainer=ddp_cpu")


@dataclass(kw_only=True)
class OptimizerConfig:
    name: Literal["adamw", "sgd", "muon"] = option(
        "Algorithm; sgd is with Nesterov momentum; muon moves hidden matrices and kernels, adamw then the rest."
    )
    lr: float = option("Highest learning rate.", gt=0)
    weight_decay: float = option("Decay of matrices; norms, biases and embeddings have none.", ge=0)
    momentum: float = option("Momentum of sgd and muon; first beta of adamw.", ge=0, lt=1)
    beta2: float = option("Second beta of adamw.", ge=0, lt=1)
    hold_norm: bool = option(
        "What muon moves keeps the norm that it started with, of which a step is 20 times the rate, so that the rate "
        "alone decides how far it turns; for networks that norm what comes of each.",
        default=False,
    )
    layer_decay: float = option("What each lower layer's rate is multiplied by; 1 gives all the same.", gt=0, le=1)
    ema: float | None = option(
        "Decay of a moving average of the weights, which is validated, tested and kept; null keeps none.", gt=0, lt=1
    )
    epochs: int = option("Passes over the data that these settings are made for; trainer.max_epochs follows.", ge=1)
    schedule: Literal["constant", "linear", "cosine", "onecycle", "wsd"] = option(
        "Course of the learning rate after warm-up; wsd holds it and falls at the end."
    )
    warmup: float = option("Share of the run in which the rate rises.", ge=0, lt=1)
    decay: float = option("Share of the run at whose end wsd lets the rate fall.", gt=0, le=1)
    final: float = option("Rate at the end, as a share of the highest.", ge=0, le=1)

    def check(self) -> None:
        if self.hold_norm and self.name != "muon":
            raise Invalid("hold_norm", f"is what muon can do, not {self.name}; set it to false, or name=muon")
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise Invalid("decay", f"leaves no time beside warmup={self.warmup}; together they are 1 at most")


@dataclass(kw_only=True)
class CheckpointConfig:
    monitor: str | None = option(
        "Validation metric that decides which checkpoint is best; null takes the task's usual one."
    )
    mode: Literal["max", "min"] | None = option(
        "Whether more or less of it is better; null takes what the task knows of the metric."
    )
    select: Literal["best", "last"] = option(
        "Which validation's weights best.ckpt keeps, to be tested and used: the best one's, or the last one's, as "
        "suits a rate that has come down by then.",
        default="best",
    )
    every_steps: int | None = option("Optimizer steps between two savings of last.ckpt.", ge=1)
    every_minutes: float | None = option("Minutes between two savings of last.ckpt.", gt=0)

    @property
    def metric(self) -> str:
        """`monitor`, once the task has settled it."""
        assert self.monitor is not None
        return self.monitor

    @property
    def direction(self) -> Literal["max", "min"]:
        """`mode`, once the task has settled it."""
        assert self.mode is not None
        return self.mode

    def prefers(self, value: float, kept: float | None) -> bool:
        """Whether a validation that measured `value` takes the place of the one kept so far."""
        if kept is None or self.select == "last":
            return True
        return value > kept if self.mode == "max" else value < kept


@dataclass(kw_only=True)
class LoggerConfig:
    tensorboard: bool = option("Write TensorBoard events.")
    csv: bool = option("Write metrics.csv.")
    wandb: bool = option("Log to Weights & Biases (install attnpred[wandb]).")
    mlflow: bool = option("Log to MLflow (install attnpred[mlflow]).")
    project: str = option("Project or experiment name at W&B and MLflow.")
    tracking_uri: str | None = option("MLflow server; null keeps a local folder in the run directory.")
    offline: bool = option("Let W&B write locally, to be synchronised later.")

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
    n_jobs: int = option("Jobs at once.", ge=1)
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
    seed: int = option("Seed of weights, order, dropout and augmentation.", ge=0, le=2**32 - 1)
    output_dir: str = option("Where run directories are made.")
    resume: Literal["auto", "never"] | None = option(
        "auto goes on with the newest run of this same config in output_dir that is not done, if there is one. "
        "A sweep does so by itself, unless this is never."
    )

    def check(self) -> None:
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

    def _choose_monitor(self) -> None:
        """Settles what the config leaves to the task: by which metric a checkpoint is chosen, and which way."""
        known = {f"val/{name}": mode for name, mode in self.task.metrics.items()}
        monitor = self.checkpoint.monitor or f"val/{self.task.monitor}"
        if monitor not in known:
            raise Invalid("checkpoint.monitor", f"no such metric; choose one of {', '.join(known)}")
        self.checkpoint.monitor = monitor
        self.checkpoint.mode = self.checkpoint.mode or known[monitor]
