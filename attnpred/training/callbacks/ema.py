"""A moving average of the weights: what is validated, tested and kept, while the weights themselves train on."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from attnpred.models.base import Model

TRAINED = "trained_weights"  # in a checkpoint, beside the averaged ones


class WeightAverage(Callback):
    """Checkpoints hold the averaged weights as the model's, and the trained ones apart, to go on from."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.trained: dict[str, Tensor] = {}  # the model's own parameters and buffers
        self.average: dict[str, Tensor] = {}
        self.exchanged = False  # while the model holds the average, and `average` what is trained
        self.steps = 0

    def on_fit_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.trained = _state(learner)
        known = self.average or self.trained
        self.average = {name: known[name].detach().to(value.device, copy=True) for name, value in self.trained.items()}

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.steps:
            return
        self.steps = trainer.global_step
        # short at first, or the random weights of the start would stay in it for long
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        moved = [name for name, value in self.trained.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in moved], [self.trained[name].detach() for name in moved], 1 - decay
        )
        for name in self.trained.keys() - set(moved):
            self.average[name].copy_(self.trained[name])

    def on_validation_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self._exchange(trainer)

    def on_validation_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self._exchange(trainer)

    def _exchange(self, trainer: Trainer) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        for name, value in self.trained.items():
            value.data, self.average[name] = self.average[name], value.data
        self.exchanged = not self.exchanged

    def on_save_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        average, trained = (self.trained, self.average) if self.exchanged else (self.average, self.trained)
        checkpoint[TRAINED] = {f"model.{name}": value.detach() for name, value in trained.items()}
        checkpoint["state_dict"].update({f"model.{name}": value.detach() for name, value in average.items()})

    def on_load_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        state = checkpoint["state_dict"]
        self.average = {name: state[f"model.{name}"].clone() for name in _state(learner)}
        learner.load_state_dict({**learner.state_dict(), **checkpoint[TRAINED]})

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = state_dict["steps"]


def _state(learner: LightningModule) -> dict[str, Tensor]:
    """What checkpoints keep of the model, by name."""
    model = learner.model
    assert isinstance(model, Model)
    return dict(model.state_dict(keep_vars=True))
