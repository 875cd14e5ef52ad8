"""Ends a run that the sweep it belongs to finds not worth going on with."""

import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.contracts import Batch
from attnpred.errors import Pruned

EVERY_SECONDS = 1.0


class StopPruned(Callback):
    """The sweep reads what the run measures, and answers by a file in its directory: any storage, any machine will do.

    It is looked for after validations, and by a single process now and then in between, as ranks must leave together.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.looked = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.world_size == 1 and time.monotonic() - self.looked > EVERY_SECONDS:
            self._leave_if_asked(trainer)

    def on_validation_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._leave_if_asked(trainer)

    def _leave_if_asked(self, trainer: Trainer) -> None:
        self.looked = time.monotonic()
        if trainer.strategy.broadcast(self.file.exists()):
            raise Pruned
