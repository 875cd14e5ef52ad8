"""The curves and the result: what training logs, and what of it the run's `metrics.json` keeps."""

import copy
import resource
import sys
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from attnpred import ranks
from attnpred.config import CheckpointConfig
from attnpred.contracts import Batch, TextBatch
from attnpred.learner import Learner

KEY = "monitor"  # in a checkpoint


class Monitor(Callback):
    """Logs loss, accuracy, rate, gradient norm, throughput and memory every so many optimizer steps.

    The device is asked for numbers at those steps only; between them a step costs a few additions. `latest` holds what
    the progress shows, as host floats.
    """

    def __init__(self, every_steps: int, selection: CheckpointConfig) -> None:
        self.every_steps = every_steps
        self.selection = selection
        self.latest: dict[str, float] = {}
        self.result: dict[str, Any] = {}
        self.examples = 0
        self.tokens: Tensor | int = 0
        self.since = 0.0
        self.window = (0, 0.0)  # examples and seconds of training steps alone, for the run's throughput
        self.all_tokens = 0
        self.logged_step = 0
        self.started = 0.0
        self.resumed: dict[str, Any] | None = None  # what the checkpoint says that a run goes on from

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self.started = self.since = time.monotonic()
        self.logged_step = trainer.global_step
        if self.resumed is not None:
            assert isinstance(learner, Learner)
            self._go_on(learner, self.resumed)
            self.resumed = None
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_start(self, trainer: Trainer, learner: LightningModule, batch: Any, batch_idx: int) -> None:
        assert isinstance(learner, Learner)
        learner.wants_grad_norm = (trainer.global_step + 1) % self.every_steps == 0

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.examples += len(batch)
        if isinstance(batch, TextBatch):
            self.tokens = self.tokens + batch.lengths.sum()
        step = trainer.global_step
        if step != self.logged_step and step % self.every_steps == 0:
            self._log(trainer, learner)

    def on_train_epoch_end(self, trainer: Trainer, learner: LightningModule) -> None:
        if self.examples:
            self._log(trainer, learner)

    def _log(self, trainer: Trainer, learner: LightningModule) -> None:
        assert isinstance(learner, Learner)
        losses, hits, sizes = zip(*learner.steps, strict=True)
        weights = torch.tensor(sizes, dtype=torch.float32).to(losses[0].device, non_blocking=True)
        total = torch.stack([torch.stack(losses).float() @ weights, torch.stack(hits).sum(), weights.sum()])
        # of all ranks; waits for the device, once
        loss_sum, hit_sum, examples = trainer.strategy.reduce(total, reduce_op="sum").tolist()
        now = time.monotonic()
        seconds, world = now - self.since, trainer.world_size
        tokens = int(self.tokens)
        values = {
            "train/loss": loss_sum / examples,
            "train/accuracy": hit_sum / examples,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "examples_per_second": examples / seconds,
            "memory_gib": memory_gib(),
        }
        if tokens:
            values["tokens_per_second"] = tokens * world / seconds
        if learner.attention_losses:
            values["train/attention_loss"] = float(torch.stack(learner.attention_losses).float().mean())
        if learner.grad_norm is not None:
            values["grad_norm"] = float(learner.grad_norm)
        self.write(trainer, values)
        self.window = (self.window[0] + int(examples), self.window[1] + seconds)
        self.all_tokens += tokens * world
        self.logged_step = trainer.global_step
        self._restart(learner)

    def write(self, trainer: Trainer, values: dict[str, float]) -> None:
        """To every logger and to the progress; epochs count from 1."""
        epoch = trainer.current_epoch + (trainer.state.fn == TrainerFn.FITTING)
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch}, step=trainer.global_step)
        self.latest.update(values)

    def _restart(self, learner: Learner) -> None:
        self.examples, self.tokens, self.since = 0, 0, time.monotonic()
        learner.steps.clear()
        learner.attention_losses.clear()

    def on_validation_start(self, trainer: Trainer, learner: LightningModule) -> None:
        # what has not been logged yet must not be charged with the time that validation takes
        if trainer.state.fn == TrainerFn.FITTING and self.examples:
            self._log(trainer, learner)

    def on_validation_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self.since = time.monotonic()
        logged = measured(trainer, "val")
        if trainer.state.fn != TrainerFn.FITTING or not logged:
            return
        self.write(trainer, logged)
        values = {name.removeprefix("val/"): value for name, value in logged.items()}
        values |= {"step": trainer.global_step, "epoch": trainer.current_epoch + 1}
        split = self.result.setdefault("val", {})
        name = self.selection.monitor.removeprefix("val/")
        sign = 1 if self.selection.mode == "max" else -1
        if "best" not in split or sign * values.get(name, 0.0) > sign * split["best"].get(name, 0.0):
            split["best"] = values
        split["final"] = values

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        examples, seconds = self.window
        self.result |= {
            "parameters": sum(p.numel() for p in learner.parameters()),
            "examples_per_second": examples / seconds if seconds else None,
            "tokens_per_second": self.all_tokens / seconds if seconds and self.all_tokens else None,
            "peak_memory_gib": memory_gib(),
            "seconds": time.monotonic() - self.started,
            "steps": trainer.global_step,
            "epochs": trainer.current_epoch,
        }

    def on_save_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        """What has been seen since the last point of the curves, and what the result will be made of."""
        assert isinstance(learner, Learner)
        checkpoint[KEY] = {
            "steps": ranks.of_each(trainer, [(loss.cpu(), hits.cpu(), count) for loss, hits, count in learner.steps]),
            "attention_losses": [loss.cpu() for loss in learner.attention_losses],
            "examples": self.examples,
            "tokens": int(self.tokens),
            "all_tokens": self.all_tokens,
            "window": list(self.window),
            "logged_step": self.logged_step,
            "seconds": time.monotonic() - self.started,
            "latest": dict(self.latest),
            "result": copy.deepcopy(self.result),
        }

    def on_load_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.resumed = {**checkpoint[KEY], "steps": checkpoint[KEY]["steps"][trainer.global_rank]}

    def _go_on(self, learner: Learner, state: dict[str, Any]) -> None:
        device = learner.device
        learner.steps = [(loss.to(device), hits.to(device), count) for loss, hits, count in state["steps"]]
        learner.attention_losses = [loss.to(device) for loss in state["attention_losses"]]
        self.examples, self.tokens, self.all_tokens = state["examples"], state["tokens"], state["all_tokens"]
        self.window = (state["window"][0], state["window"][1])
        self.logged_step = state["logged_step"]
        self.started -= state["seconds"]
        self.latest.update(state["latest"])
        self.result.update(state["result"])

    def on_test_end(self, trainer: Trainer, learner: LightningModule) -> None:
        assert isinstance(learner, Learner)
        logged = measured(trainer, "test")
        self.write(trainer, logged)
        values = {name.removeprefix("test/"): value for name, value in logged.items()}
        self.result["test"] = {**values, **learner.details["test"]}


def measured(trainer: Trainer, split: str) -> dict[str, float]:
    """What was last measured on the split, under its logged names."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(f"{split}/")}


def memory_gib() -> float:
    """The most memory held so far: of the GPU where one is used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
