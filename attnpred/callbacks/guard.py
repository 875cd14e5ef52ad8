"""A loss or gradient that is no number ends the run before it spoils a checkpoint."""

import math
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

from attnpred.callbacks.monitor import Monitor
from attnpred.errors import Diverged
from attnpred.learner import Learner


class Guard(Callback):
    """Looks at the losses of all steps when the monitor is about to log them, and before whatever is saved."""

    def __init__(self, monitor: Monitor, every_steps: int) -> None:
        self.monitor = monitor
        self.every_steps = every_steps

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

    def check(self, trainer: Trainer, learner: LightningModule) -> None:
        """Raises for the first loss since the last look, or the last gradient, that is not finite."""
        assert isinstance(learner, Learner)
        losses = torch.stack([loss for loss, _, _ in learner.steps]).tolist() if learner.steps else []
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        norm = None if learner.grad_norm is None else float(learner.grad_norm)
        if bad is None and (norm is None or math.isfinite(norm)):
            return
        last = trainer.global_step
        if bad is None:
            what, step, good = f"the gradient's norm became {norm}", last, losses
        else:
            later = (len(losses) - 1 - bad) // trainer.accumulate_grad_batches
            what, step, good = f"the loss became {losses[bad]}", max(last - later, 1), losses[:bad]
        known = {"train/loss": good[-1]} if good else {}
        known = {**self.monitor.latest, **known}
        values = ", ".join(f"{k} {known[k]:.4g}" for k in ("train/loss", "grad_norm", "lr") if k in known)
        before = f" (last finite values: {values})" if values else ""
        raise Diverged(
            f"{what} at step {step}{before}",
            step,
            "; what was saved is from before. Try a lower optimizer.lr, a longer optimizer.warmup, a trainer.clip_norm "
            "or trainer.precision=32-true; trainer.on_nan=rewind goes back and on with a lower rate, "
            "trainer.detect_anomaly=true names the operation",
        )
