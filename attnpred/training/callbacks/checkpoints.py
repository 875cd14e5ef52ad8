"""When a run is saved: as `best.ckpt` to be used, as `last.ckpt` to go on from."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.config.options import CheckpointConfig
from attnpred.runs.checkpoint_files import BEST, LAST


class Checkpoints(Checkpoint):
    """Lightning's own callback saves by time, steps or epochs, but by one of them only, and numbers what it resumes."""

    def __init__(
        self, directory: Path, options: CheckpointConfig, sound: Callable[[Trainer, Any], bool] | None = None
    ) -> None:
        """`sound` says whether a run may go on from what would be saved, and raises where that is worth nothing."""
        self.directory = directory
        self.options = options
        self.sound = sound
        self.best: float | None = None
        self.step = self.saved_step = 0
        self.gathering = False  # gradients for a step that is still to come, which no checkpoint holds
        self.saved_time = time.monotonic()

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.step = self.saved_step = trainer.global_step  # of the checkpoint that the run goes on from

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, left = trainer.global_step, batches_left(trainer, batch_idx)
        self.gathering = step == self.step
        self.step = step
        if self.gathering or not left:
            return
        every_steps, every_minutes = self.options.every_steps, self.options.every_minutes
        due = every_steps is not None and step % every_steps == 0
        # the last before a validation: what is interrupted there begins it again
        due = due or left <= trainer.accumulate_grad_batches
        if every_minutes is not None and not due:
            elapsed = time.monotonic() - self.saved_time
            # saving is collective: with several ranks rank 0's clock decides for all, asked for rarely
            if trainer.world_size == 1:
                due = elapsed >= 60 * every_minutes
            elif step % 20 == 0:
                due = bool(trainer.strategy.broadcast(elapsed >= 60 * every_minutes))
        if due:
            self.save_last(trainer)

    def may_save(self, trainer: Trainer, batch_idx: int) -> bool:
        """Whether a run can go on from here; where a validation begins it could not, and was saved a step before."""
        return batches_left(trainer, batch_idx) > 0

    def on_validation_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        value = float(trainer.callback_metrics[self.options.metric])
        if self.options.prefers(value, self.best):
            self.best = value
            self._sound(trainer)
            self._save(trainer, BEST)
        if not self.gathering:  # else a run that goes on from before does this validation again
            self.save_last(trainer)

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self._sound(trainer)
        if trainer.global_step != self.saved_step:
            self._save(trainer, LAST)

    def save_last(self, trainer: Trainer) -> None:
        """Leaves the one there is where a run had better not go on from here."""
        if self._sound(trainer):
            self._save(trainer, LAST)

    def _sound(self, trainer: Trainer) -> bool:
        found = self.sound is None or self.sound(trainer, trainer.lightning_module)
        return trainer.strategy.reduce_boolean_decision(found)  # saving takes all ranks

    def _save(self, trainer: Trainer, name: str) -> None:
        trainer.save_checkpoint(self.directory / name, weights_only=False)
        if name == LAST:
            self.saved_step, self.saved_time = trainer.global_step, time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


def batches_left(trainer: Trainer, batch_idx: int) -> int:
    """Until the epoch ends or a validation begins, whichever comes first."""
    left = int(trainer.num_training_batches) - (batch_idx + 1)
    every = trainer.val_check_batch
    if isinstance(every, int):
        counted = batch_idx if trainer.check_val_every_n_epoch is not None else trainer.fit_loop.total_batch_idx
        left = min(left, -(counted + 1) % every)
    return left
