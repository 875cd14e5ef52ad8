"""How far a run is, for a person watching stderr: one living line on a terminal, plain lines elsewhere."""

import math
import os
import shutil
import sys
from time import monotonic
from typing import Any, Protocol, TextIO

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.console.tables import clock, rate

REFRESH_SECONDS = 0.1
GAP = "  "
MOST_METRICS = 6  # of a validation; the curves hold all
DROPPED_FIRST = ("speed", "epoch", "validation", "loss")  # in this order, where the terminal is too narrow


class Monitored(Protocol):
    """Newest value of each metric, already on the host."""

    latest: dict[str, float]


class Progress(ProgressBar):
    """Takes the place of Lightning's bar; must stand behind the monitor in the list of callbacks.

    A step that shows nothing costs one look at the clock. The device is never asked for a value.
    """

    def __init__(
        self,
        monitor: Monitored,
        stream: TextIO | None = None,
        every_seconds: float = 10.0,
        watch: str | None = "val/accuracy",
    ) -> None:
        super().__init__()
        self._monitor = monitor
        self._stream = stream or sys.stderr
        self._watch = watch
        self._live = self._stream.isatty()
        self._interval = REFRESH_SECONDS if self._live else every_seconds
        self._enabled = True
        self._due = 0.0  # when the next line may be written; infinite while disabled
        self._open = 0  # length of the line that waits to be rewritten
        self._epoch = 0
        self._total_steps = math.inf
        self._began: tuple[float, int] | None = None  # time and step of the first line: compilation does not count

    def enable(self) -> None:
        # others enable what they disabled, on every process
        if self._trainer is None or self._trainer.is_global_zero:
            self._enabled, self._due = True, 0.0

    def disable(self) -> None:
        self._close()
        self._enabled, self._due = False, math.inf

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Used by `trainer.print`; stdout is left to what programs read."""
        if self._enabled:
            self._close()
            print(*args, **{"file": self._stream, **kwargs})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        estimate = trainer.estimated_stepping_batches
        self._total_steps = estimate if estimate > 0 else math.inf
        self._epoch = trainer.current_epoch + 1  # resumed within an epoch, a run does not start that epoch again
        self._began = None
        if self._enabled:
            self._due = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # kept, since Lightning counts on before the last line is written
        self._epoch = trainer.current_epoch + 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = monotonic()
        if now >= self._due:
            self._show(self._training(trainer, now))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._live:
            self._show(self._training(trainer, monotonic()))
        self._close()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if monotonic() >= self._due:
            totals = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
            self._evaluating(trainer, "validating", batch_idx, totals[dataloader_idx])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._close()
        elif not trainer.sanity_checking:
            self._show(self._training(trainer, monotonic(), all_measured=not self._live))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if monotonic() >= self._due:
            self._evaluating(trainer, "testing", batch_idx, trainer.num_test_batches[dataloader_idx])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def _training(self, trainer: Trainer, now: float, *, all_measured: bool = False) -> dict[str, str]:
        """What there is to say, in order: of the validation the watched metric, or the first that it measured."""
        parts = self._place(trainer)
        latest = self._monitor.latest
        if "train/loss" in latest:
            parts["loss"] = f"loss {latest['train/loss']:.3f}"
        wanted = [name for name in latest if name == self._watch or (all_measured and name.startswith("val/"))]
        if wanted:
            shown = sorted(wanted, key=lambda name: name != self._watch)[:MOST_METRICS]
            told = [f"{name} {latest[name]:.3f}" for name in wanted if name in shown]
            more = [f"and {len(wanted) - len(shown)} more"] if len(wanted) > len(shown) else []
            parts["validation"] = GAP.join([*told, *more])
        if "examples_per_second" in latest:
            parts["speed"] = f"{rate(latest['examples_per_second'])} examples/s"
        if self._began is None:
            self._began = now, trainer.global_step
        began, first_step = self._began
        done, left = trainer.global_step - first_step, self._total_steps - trainer.global_step
        if done > 0 and 0 < left < math.inf:
            parts["left"] = f"{clock((now - began) / done * left)} left"
        return parts

    def _place(self, trainer: Trainer) -> dict[str, str]:
        epochs, steps = trainer.max_epochs or -1, self._total_steps
        return {
            "epoch": f"epoch {self._epoch}" + (f"/{epochs}" if epochs > 0 else ""),
            "step": f"step {trainer.global_step:,}" + (f"/{steps:,}" if steps < math.inf else ""),
        }

    def _evaluating(self, trainer: Trainer, verb: str, batch_idx: int, total: int | float) -> None:
        place = self._place(trainer) if self._epoch and trainer.state.fn == TrainerFn.FITTING else {}
        size = f"/{total:,}" if total < math.inf else ""
        self._show({**place, "evaluating": f"{verb} {batch_idx + 1:,}{size}"})

    def _show(self, parts: dict[str, str]) -> None:
        if not self._enabled:
            return
        self._due = monotonic() + self._interval
        if not self._live:
            self._stream.write(GAP.join(parts.values()) + "\n")
            self._stream.flush()
            return
        width = self._columns() - 1  # a full line would wrap on some terminals
        for name in DROPPED_FIRST:
            if len(GAP.join(parts.values())) > width:
                parts.pop(name, None)
        line = GAP.join(parts.values())[:width]
        self._stream.write("\r" + line.ljust(min(self._open, width)))
        self._stream.flush()
        self._open = len(line)

    def _close(self) -> None:
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = 0

    def _columns(self) -> int:
        try:  # of this stream, since stdout is often a pipe
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 0
        return columns or shutil.get_terminal_size().columns
