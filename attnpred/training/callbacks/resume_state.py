"""Where exactly a run stands, kept in its checkpoints: every random state, and how far its records reach."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.machine import ranks
from attnpred.runs import loggers

KEY = "position"


class ResumeState(Callback):
    """Goes on with the same dice, and with records that end where the checkpoint was written."""

    def __init__(self, batch_size: int, rate: float = 1.0) -> None:
        """What checkpoints may differ from, where a run helped itself since: batches are smaller, or rates lower.

        `rate`: what the config's are multiplied by.
        """
        self.batch_size, self.rate = batch_size, rate
        self.slower = rate  # than in the checkpoint
        self.dice: dict[str, Any] | None = None  # what the checkpoint says, until training starts
        self.loader: dict[str, Any] = {}

    def on_save_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        loader: Any = trainer.train_dataloader
        checkpoint[KEY] = {
            "dice": ranks.of_each(trainer, _dice()),
            "loader": loader.state_dict(),
            "records": loggers.keep(trainer.loggers),
            "batch_size": self.batch_size,
            "rate": self.rate,
        }

    def on_load_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self.dice = checkpoint[KEY]["dice"][trainer.global_rank]
        self.loader = dict(checkpoint[KEY]["loader"])
        self.slower = self.rate / checkpoint[KEY]["rate"]
        parts = checkpoint[KEY]["batch_size"] // self.batch_size  # that were one batch
        self.loader["position"] *= parts
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        more = progress["current"]["ready"] * (parts - 1), progress["total"]["ready"] * (parts - 1)
        for batches, extra in zip((progress["current"], progress["total"]), more, strict=True):
            batches.update({name: count + extra for name, count in batches.items()})
        if trainer.is_global_zero:
            loggers.go_on(trainer.loggers)

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        if self.slower != 1:
            self._slow_down(trainer)
        if self.dice is not None:
            _throw(self.dice)
            self.dice = None
            # Lightning would do it, had it not looked at the loader before it read the checkpoint
            loader: Any = trainer.train_dataloader
            loader.load_state_dict(self.loader)

    def _slow_down(self, trainer: Trainer) -> None:
        """The rates of now, and those that the schedule counts from."""
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= self.slower
            group["initial_lr"] *= self.slower
        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        schedule.base_lrs = [rate * self.slower for rate in schedule.base_lrs]


def _dice() -> dict[str, Any]:
    """The states of all generators, as tensors and plain containers."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _throw(dice: dict[str, Any]) -> None:
    version, inner, gauss = dice["python"]
    random.setstate((version, tuple(inner), gauss))
    name, keys, *rest = dice["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(dice["torch"].cpu())
    if dice["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in dice["cuda"]])
