"""The options of the trainer and of checkpoints."""

from dataclasses import dataclass
from typing import Literal

from attnpred.config.schema import Invalid, option


@dataclass(kw_only=True)
class TrainerConfig:
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = option("Kind of device.")
    devices: int | Literal["auto"] = option(
        "How many devices on each machine, a process each; auto takes every GPU, or one CPU.",
        ge=1,
        le=1_024,
    )
    nodes: int = option(
        "Machines that share the work; torchrun or srun starts the processes on each.", ge=1, le=100_000, default=1
    )
    threads: int | Literal["auto"] = option(
        "Threads that compute on a CPU, in each process; auto follows how busy other programs keep the cores. "
        "The bits of a result depend on it.",
        ge=1,
        le=1_024,
        default="auto",
    )
    strategy: Literal["auto", "ddp", "fsdp"] = option("How several devices share the work.")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true"] = option(
        "Number format; auto takes bf16 where the hardware multiplies in it."
    )
    compile: bool = option("Compile the model: a minute's wait, then faster steps.")
    max_epochs: int = option("Passes over the training data.", ge=1, le=1_000_000)
    max_steps: int | None = option("Optimizer steps after which training ends earlier.", ge=1)
    accumulate: int = option("Batches whose gradients make one optimizer step.", ge=1, le=1_000_000)
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
        "Where a loss or gradient is NaN or infinite: stop, or go back to the last checkpoint and on at half the rate."
    )
    on_oom: Literal["stop", "halve"] = option(
        "Where a batch does not fit into memory: stop, or go on with batches of half the size, twice as many a step."
    )
    detect_anomaly: bool = option("Name the operation that produced a NaN gradient; much slower.")

    def check(self) -> None:
        if self.strategy == "fsdp" and self.accelerator == "cpu":
            raise Invalid("strategy", "needs GPUs; on CPU use trainer=ddp_cpu")


@dataclass(kw_only=True)
class CheckpointConfig:
    monitor: str | None = option(
        "Validation metric that decides which checkpoint is best; null takes the task's usual one."
    )
    mode: Literal["max", "min"] | None = option(
        "Whether more or less of it is better; null takes what the task knows of the metric."
    )
    select: Literal["best", "last"] = option(
        "Which validation's weights best.ckpt keeps, to be tested and used: the best one's, or the last one's. "
        "The last suits a rate that has come down by then.",
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
