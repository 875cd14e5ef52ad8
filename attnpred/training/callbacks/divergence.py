"""A loss or gradient that is NaN or infinite, or a loss beyond measure, ends the run before it spoils a checkpoint."""

import math
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.errors import Diverged
from attnpred.training.callbacks.monitor import Monitor
from attnpred.training.learner import Learner

BEGINNING = 20  # batches, whose lowest loss is what a run began with
LEAST = 1.0  # taken for it where it is less: a run that begins with next to nothing may well rise to several times that
FAR = 20  # times what the run began with, and a loss is high
LONG = 100  # batches in a row: no loss of a run that learns, however noisy, is so high for so long
REMEDY = (
    "; what was saved is from before. Try a lower optimizer.lr, a longer optimizer.warmup, a trainer.clip_norm "
    "or trainer.precision=32-true; trainer.on_nan=rewind goes back and on with a lower rate, "
    "trainer.detect_anomaly=true names the operation"
)


class DivergenceCheck(Callback):
    """Looks at the losses of all steps when the monitor is about to log them, and before whatever is saved."""

    def __init__(self, monitor: Monitor, every_steps: int) -> None:
        self.monitor = monitor
        self.every_steps = every_steps
        self.met = 0  # batches, as far as they are the beginning
        self.lowest = math.inf  # loss among those
        self.high = 0  # batches in a row

    @property
    def state_key(self) -> str:
        """Its name in checkpoints, as in those of earlier versions."""
        return "Guard"

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every_steps == 0:
            self.check(trainer, learner)

    def on_train_epoch_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self.check(trainer, learner)

    def on_validation_start(self, trainer: Trainer, learner: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.check(trainer, learner)

    def sound(self, trainer: Trainer, learner: LightningModule) -> bool:
        """Whether a run may go on from here: its losses are in measure, and its weights are numbers."""
        self.check(trainer, learner)
        weights = [p.detach() for p in learner.parameters() if p.is_floating_point()]
        if not bool(torch.stack(torch._foreach_norm(weights, math.inf)).isfinite().all()):
            self._end(trainer, "the weights became NaN or infinite", trainer.global_step, [])
        return not self.high

    def check(self, trainer: Trainer, learner: LightningModule) -> None:
        """Raises where a loss since the last look, or the last gradient, is NaN or infinite; and for a divergence."""
        assert isinstance(learner, Learner)
        before = self.monitor.seen["loss"][-1:]
        losses = self.monitor.fetch(learner)
        if not losses:
            return
        last, norm = trainer.global_step, self.monitor.grad_norm
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is not None:
            later = (len(losses) - 1 - bad) // trainer.accumulate_grad_batches
            self._end(trainer, f"the loss became {losses[bad]}", max(last - later, 1), [*before, *losses[:bad]])
        if norm is not None and not math.isfinite(norm):
            self._end(trainer, f"the gradient's norm became {norm}", last, losses)
        for loss in losses:
            self._follow(loss)
        if self.high >= LONG:
            what = f"the loss was above {self.limit:.3g}, {FAR} times what the run began with, for {self.high} batches"
            self._end(trainer, what, last, losses)

    @property
    def limit(self) -> float:
        return FAR * max(self.lowest, LEAST)

    def _follow(self, loss: float) -> None:
        if self.met < BEGINNING:
            self.met += 1
            self.lowest = min(self.lowest, loss)
        self.high = self.high + 1 if loss > self.limit else 0

    def _end(self, trainer: Trainer, what: str, step: int, good: list[float]) -> None:
        known = {**self.monitor.latest, **({"train/loss": good[-1]} if good else {})}
        values = ", ".join(f"{k} {known[k]:.4g}" for k in ("train/loss", "grad_norm", "lr") if k in known)
        before = f" (last finite values: {values})" if values else ""
        raise Diverged(f"{what} at step {step}{before}", step, REMEDY)

    def state_dict(self) -> dict[str, Any]:
        return {"met": self.met, "lowest": self.lowest, "high": self.high}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.met, self.lowest, self.high = state_dict["met"], state_dict["lowest"], state_dict["high"]
