"""SIGINT and SIGTERM: finish the step in progress, save, leave. SIGUSR1: save, go on."""

import signal
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from attnpred.callbacks.checkpoints import Checkpoints
from attnpred.errors import Interrupted

RANKS_AGREE_EVERY = 10


class Signals(Callback):
    """Saves `last.ckpt` after the step in which the signal came; a second SIGINT leaves at once."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self.received: int | None = None
        self.save_asked = False
        self.step = 0
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.step = trainer.global_step
        # Lightning has set its own by now; these take their place until the run ends
        self.previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        if hasattr(signal, "SIGUSR1"):
            self.previous[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._note_save)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise Interrupted(number)
        self.received = number

    def _note_save(self, number: int, frame: FrameType | None) -> None:
        self.save_asked = True

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients that are still being gathered for a step would be lost
        self.step = trainer.global_step
        may_save = self.checkpoints.may_save(trainer, batch_idx)
        self._leave_if_asked(trainer, self.step, save=may_save)
        if agreed(trainer, self.save_asked, self.step) and may_save:
            self.save_asked = False
            self.checkpoints.save_last(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        learner: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._leave_if_asked(trainer, batch_idx, save=False)

    def _leave_if_asked(self, trainer: Trainer, count: int, *, save: bool) -> None:
        if agreed(trainer, self.received is not None, count):
            if save:
                self.checkpoints.save_last(trainer)
            raise Interrupted(self.received or signal.SIGTERM)

    def teardown(self, trainer: Trainer, learner: LightningModule, stage: str) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}


def agreed(trainer: Trainer, asked: bool, count: int) -> bool:
    """Whether any rank was asked. Ranks must leave at the same step, or those that go on wait for ever."""
    if trainer.world_size == 1:
        return asked
    return not count % RANKS_AGREE_EVERY and trainer.strategy.reduce_boolean_decision(asked, all=False)
