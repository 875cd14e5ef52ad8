"""The schema: one dataclass a group, one line of doc a field, and the checks that need several fields.

Values live in `conf/`, types and documentation here. What a model or a kind of data adds of its own stands in its own
file as `<Class>Config`. Nothing heavy is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from attnpred.config import slices
from attnpred.config.adversarial_options import AdversarialConfig
from attnpred.config.continual_options import ContinualConfig
from attnpred.config.data_options import DataConfig, Modality
from attnpred.config.optimizer_options import OptimizerConfig
from attnpred.config.schema import Invalid, option
from attnpred.config.self_training_options import SelfTrainingConfig
from attnpred.config.trainer_options import CheckpointConfig, TrainerConfig
from attnpred.errors import UserError

# One answer an input, one a part, one for each part that is hidden, or a sequence that is generated
Shape = Literal["whole", "parts", "hidden", "sequence"]
AttentionLoss = Literal["entropy", "supervised", "faithful"]
AttentionTarget = Literal["leave_one_out", "ranking", "shapley"]
MOST_LAYERS, MOST_HEADS = 1_000, 1_024  # beyond which a number can only be a mistake
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
        "Trains attention too: to be sharper (entropy), to find recorded evidence (supervised), or to predict "
        "what leaving parts out would show (faithful). The last has weights of its own that the answer does not "
        "feel.",
        default=None,
    )
    attention_weight: float = option("Weight of that beside the task's loss.", ge=0, default=0.1)
    teacher: str | None = option(
        "Run directory of a teacher, whose answers are learned beside the labels. They are made once and kept.",
        default=None,
    )
    teacher_weight: float = option("Share of the loss that the teacher's answers have.", ge=0, le=1, default=0.5)
    teacher_attention: float = option(
        "Weight of how far attention lies from the teacher's, on the same words or regions; 0 learns answers alone.",
        ge=0,
        default=0.0,
    )
    temperature: float = option(
        "What a teacher's and a student's scores are divided by: above 1, what is unlikely counts more.",
        gt=0,
        default=2.0,
    )
    slim: dict[str, str] = option(
        "Which attention heads, MLP units and channels are left, by the names of their modules. Each has a bit in "
        "hexadecimal digits; what is not named stays whole. attnpred slim finds them.",
        default={},
    )
    sparsity: float = option(
        "Share of the weights of each matrix and kernel, the smallest at the start, that stay 0.",
        ge=0,
        lt=1,
        default=0.0,
    )
    attention_target: AttentionTarget = option(
        "What attention_loss=faithful learns: the cost of leaving out each part, beside all or half of the others; "
        "the order of these costs; or Shapley values.",
        default="leave_one_out",
    )
    recompute: bool = option(
        "Make activations again in the backward pass: less memory, a third more time.", default=False
    )

    def tokenizer_source(self) -> str | None:
        """Hub id or directory of the tokenizer that the model's weights demand; None where any will do."""
        return None


def metric_name(dotted: str) -> str:
    """What a further metric is logged as: its class's name in small letters."""
    return dotted.rpartition(".")[2].lower()


@dataclass(kw_only=True)
class TaskConfig:
    """What every task has; each task's file adds its own."""

    reads: ClassVar[str] = "class"  # kind of target: class, number, labels, tags
    inputs: ClassVar[tuple[Modality, ...]] = ()  # kinds of input that it asks about; none where it asks about any
    shape: ClassVar[Shape] = "whole"  # of the answer
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {}  # what is measured, and whether more of it is better
    shares: ClassVar[tuple[str, ...]] = ()  # those of them that lie within 0 and 1, as their intervals then do
    monitor: ClassVar[str] = "loss"  # that of them by which a checkpoint is chosen, unless checkpoint.monitor says

    def measured(self) -> Mapping[str, Literal["max", "min"]]:
        """As `metrics`, of these options."""
        return self.metrics

    def kinds(self) -> list[str | None]:
        """Kinds of target whose columns the dataset tells; None where the task names them itself."""
        return [self.reads]

    def target_columns(self, data: DataConfig) -> tuple[list[str], str]:
        """The columns that the task reads as its target, and the option that names them."""
        found = data.target_columns(self.reads)
        assert found is not None, "tasks that the data does not fit are refused before"
        return found

    _target_: str = option("Class of the task.")
    loss_function: str | None = option(
        "Dotted name of a function of a package, of answer and target, that gives the training loss in place of the "
        "task's own.",
        default=None,
    )
    further_metrics: list[str] = option(
        "Dotted names of classes of a package, of torchmetrics' kind: each is fed answers and targets.", default=[]
    )
    seen_masked: float = option(
        "Share of the training examples that are shown with a random share of their parts removed, by the removal "
        "that explanations are measured with. So what is measured are inputs of a kind that the model knows.",
        ge=0,
        le=1,
        default=0.0,
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
    wandb: bool = option("Log to Weights & Biases (extra wandb).")
    mlflow: bool = option("Log to MLflow (extra mlflow).")
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
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    self_training: SelfTrainingConfig = field(default_factory=SelfTrainingConfig)
    continual: ContinualConfig = field(default_factory=ContinualConfig)
    continue_from: str | None = option(
        "Run directory to go on from, on new data: its weights, vocabulary and classes, and its model and task unless "
        "others are chosen.",
        default=None,
    )
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
        if self.trainer.strategy == "fsdp" and self.task.seen_masked:
            raise Invalid("task.seen_masked", "asks a model that one device holds whole for its parts; use trainer=ddp")
        if self.data.resizes() and not self.model.any_size:
            raise Invalid(
                "data.augment.small_share", "this model reads images of one size; set it to 0, and small_side to null"
            )
        if self.continue_from is not None and self.model.init_from is not None:
            raise Invalid("model.init_from", "continue_from names the run to begin with; leave this at null")

        self._check_unlabelled()

    def _check_unlabelled(self) -> None:
        asked, data = self.self_training, self.data
        if not asked.any():
            return
        name = "consistency" if asked.teacher is None else "teacher"
        if data.streams():
            raise Invalid(f"self_training.{name}", "draws prepared rows; set data.stream=false")
        changes = getattr(data, "augment", None)
        if asked.consistency and (getattr(changes, "mixup", 0) or getattr(changes, "cutmix", 0)):
            raise Invalid("self_training.consistency", "mixed images have no two views; set data.augment.mixup=0")
        if asked.teacher is not None and self.model.teacher is not None:
            raise Invalid("model.teacher", "says nothing of rows without labels; leave one teacher out")

    def target_columns(self) -> tuple[list[str], str]:
        """The columns that the task reads as its target, and the option that names them."""
        return self.task.target_columns(self.data)

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
        known = self._directions()
        monitor = self.checkpoint.monitor or f"val/{self.task.monitor}"
        if monitor not in known:
            raise Invalid("checkpoint.monitor", f"no such metric; choose one of {', '.join(known)}")
        self.checkpoint.monitor = monitor
        self.checkpoint.mode = self.checkpoint.mode or known[monitor]
        if self.checkpoint.mode is None:
            raise Invalid("checkpoint.mode", f"is not known of {monitor}; say max or min")

    def check_direction(self) -> None:
        """Refuses to keep the worst checkpoint. Runs of earlier versions that did are still read, so it is no check."""
        monitor, mode = self.checkpoint.metric, self.checkpoint.direction
        usual = self._directions()[monitor]
        if usual not in (None, mode):
            better = "more" if usual == "max" else "less"
            raise UserError(f"checkpoint.mode={mode}: {better} of {monitor} is better; leave it out, or say {usual}")

    def _directions(self) -> dict[str, Literal["max", "min"] | None]:
        """What can be monitored, and which way is better where that is known."""
        known: dict[str, Literal["max", "min"] | None] = {f"val/{n}": mode for n, mode in self.task.measured().items()}
        return known | {f"val/{metric_name(dotted)}": None for dotted in self.task.further_metrics}
