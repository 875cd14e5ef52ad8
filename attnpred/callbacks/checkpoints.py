"""When a run is saved: as `best.ckpt` where it improved, as `last.ckpt` to go on from."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.config import CheckpointConfig
from attnpred.vault import BEST, LAST


class Checkpoints(Checkpoint):
    """Lightning's own callback saves by time, steps or epochs, but by one of them only, and numbers what it resumes."""

    def __init__(
        self, directory: Path, options: CheckpointConfig, check: Callable[[Trainer, Any], None] | None = None
    ) -> None:
        """`check` raises where what would be saved is worth nothing."""
        self.directory = directory
        self.options = options
        self.check = check
        self.best: float | None = None
        self.saved_step = 0
        self.saved_time = time.monotonic()

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.saved_step = trainer.global_step  # of the checkpoint that the run goes on from

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self.saved_step:
            return
        every_steps, every_minutes = self.options.every_steps, self.options.every_minutes
        due = every_steps is not None and step % every_steps == 0
        if every_minutes is not None and not due:
            elapsed = time.monotonic() - self.saved_time
            # saving is collective: with several ranks rank 0's clock decides for all, asked for rarely
            if trainer.world_size == 1:
                due = elapsed >= 60 * every_minutes
            elif step % 20 == 0:
                due = bool(trainer.strategy.broadcast(elapsed >= 60 * every_minutes))
        if due:
            self.save_last(trainer)

    def on_validation_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        value = float(trainer.callback_metrics[self.options.monitor])
        better = self.best is None or (value > self.best if self.options.mode == "max" else value < self.best)
        if better:
            self.best = value
            self._save(trainer, BEST)
        self.save_last(trainer)

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.global_step != self.saved_step:
            self.save_last(trainer)

    def save_last(self, trainer: Trainer) -> None:
        self._save(trainer, LAST)
        self.saved_step, self.saved_time = trainer.global_step, time.monotonic()

    def _save(self, trainer: Trainer, name: str) -> None:
        if self.check is not None:
            self.check(trainer, trainer.lightning_module)
        trainer.save_checkpoint(self.directory / name, weights_only=False)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
