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

from attnpred.config.options import CheckpointConfig
from attnpred.contracts import Batch
from attnpred.machine import ranks
from attnpred.training.learner import Learner

KEY, FIGURE = "monitor", "figure/"  # in a checkpoint; before the name of a figure there
SEEN = ("loss", "examples", "attention_loss", "tokens")  # a number each of every batch, where there is one
FORMER = {"hits": "accuracy"}  # figures by the names that they had in earlier versions' checkpoints


class Monitor(Callback):
    """Logs loss, the task's figures, rate, gradient norm, throughput and memory every so many optimizer steps.

    The device is asked for numbers at those steps only; between them a step costs a few additions. `latest` holds what
    the progress shows, as host floats.
    """

    def __init__(self, every_steps: int, selection: CheckpointConfig) -> None:
        self.every_steps = every_steps
        self.selection = selection
        self.latest: dict[str, float] = {}
        self.result: dict[str, Any] = {}
        self.seen: dict[str, list[float]] = {name: [] for name in SEEN}  # since the last point of the curves
        self.figures: dict[str, list[float]] = {}  # likewise, a sum of each batch by its name
        self.grad_norm: float | None = None
        self.tokens: list[Tensor] = []  # of batches whose other numbers are still the learner's
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
            self._go_on(self.resumed)
            self.resumed = None
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_start(self, trainer: Trainer, learner: LightningModule, batch: Batch, batch_idx: int) -> None:
        assert isinstance(learner, Learner)
        learner.wants_grad_norm = (trainer.global_step + 1) % self.every_steps == 0
        read = [one.tokens_read() for one in batch.inputs.values()]
        if counts := [count for count in read if count is not None]:
            self.tokens.append(sum(counts[1:], counts[0]))

    def on_train_batch_end(
        self, trainer: Trainer, learner: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step != self.logged_step and step % self.every_steps == 0:
            self._log(trainer, learner)

    def on_train_epoch_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self._log(trainer, learner)

    def fetch(self, learner: Learner) -> list[float]:
        """Brings to the host what the device holds of the batches since the last time, and returns their losses."""
        if not learner.steps:
            return []
        losses, figures, sizes = zip(*learner.steps, strict=True)
        norm = [] if learner.grad_norm is None else [learner.grad_norm]
        names = list(figures[0])
        held = [
            losses,
            learner.attention_losses,
            self.tokens,
            norm,
            *([one[name] for one in figures] for name in names),
        ]
        # waits for the device, once
        numbers = iter(torch.cat([torch.stack(list(some)).float() for some in held if some]).tolist())
        new, *others = ([next(numbers) for _ in some] for some in held)
        for name, values in zip(("loss", "attention_loss", "tokens"), (new, *others[:2]), strict=True):
            self.seen[name] += values
        for name, values in zip(names, others[3:], strict=True):
            self.figures.setdefault(name, []).extend(values)
        self.seen["examples"] += sizes
        self.grad_norm = others[2][0] if norm else self.grad_norm
        for behind in (learner.steps, learner.attention_losses, self.tokens):
            behind.clear()
        return new

    def _log(self, trainer: Trainer, learner: LightningModule) -> None:
        assert isinstance(learner, Learner)
        self.fetch(learner)
        seen = self.seen
        if not seen["loss"]:
            return
        loss_sum = sum(loss * count for loss, count in zip(seen["loss"], seen["examples"], strict=True))
        sums = [loss_sum, sum(seen["examples"]), sum(seen["tokens"]), *map(sum, self.figures.values())]
        if trainer.world_size > 1:
            sums = trainer.strategy.reduce(torch.tensor(sums, device=learner.device), reduce_op="sum").tolist()
        loss_sum, examples, tokens, *figures = sums
        seconds = time.monotonic() - self.since
        values = {
            "train/loss": loss_sum / examples,
            **{f"train/{name}": value / examples for name, value in zip(self.figures, figures, strict=True)},
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "examples_per_second": examples / seconds,
            "memory_gib": memory_gib(),
        }
        if tokens:
            values["tokens_per_second"] = tokens / seconds
        if seen["attention_loss"]:
            values["train/attention_loss"] = sum(seen["attention_loss"]) / len(seen["attention_loss"])
        if self.grad_norm is not None:
            values["grad_norm"] = self.grad_norm
        self.write(trainer, values)
        self.window = (self.window[0] + int(examples), self.window[1] + seconds)
        self.all_tokens += int(tokens)
        self.logged_step = trainer.global_step
        self.seen, self.figures, self.since = {name: [] for name in SEEN}, {}, time.monotonic()

    def write(self, trainer: Trainer, values: dict[str, float]) -> None:
        """To every logger and to the progress; epochs count from 1."""
        epoch = trainer.current_epoch + (trainer.state.fn == TrainerFn.FITTING)
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch}, step=trainer.global_step)
        self.latest.update(values)

    def on_validation_start(self, trainer: Trainer, learner: LightningModule) -> None:
        # what has not been logged yet must not be charged with the time that validation takes
        if trainer.state.fn == TrainerFn.FITTING:
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
        name = self.selection.metric.removeprefix("val/")
        kept = split["best"].get(name, 0.0) if "best" in split else None
        if self.selection.prefers(values.get(name, 0.0), kept):
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
        self.fetch(learner)
        checkpoint[KEY] = {
            "seen": ranks.of_each(trainer, {**self.seen, **{f"{FIGURE}{k}": v for k, v in self.figures.items()}}),
            "grad_norm": self.grad_norm,
            "all_tokens": self.all_tokens,
            "window": list(self.window),
            "logged_step": self.logged_step,
            "seconds": time.monotonic() - self.started,
            "latest": dict(self.latest),
            "result": copy.deepcopy(self.result),
        }

    def on_load_checkpoint(self, trainer: Trainer, learner: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self.resumed = {**checkpoint[KEY], "seen": checkpoint[KEY]["seen"][trainer.global_rank]}

    def _go_on(self, state: dict[str, Any]) -> None:
        self.grad_norm, self.all_tokens = state["grad_norm"], state["all_tokens"]
        seen = {FIGURE + FORMER[name] if name in FORMER else name: v for name, v in state["seen"].items()}
        self.seen = {name: seen.get(name, []) for name in SEEN}
        self.figures = {n.removeprefix(FIGURE): v for n, v in seen.items() if n.startswith(FIGURE)}
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
        self.result["peak_memory_gib"] = memory_gib()


def measured(trainer: Trainer, split: str) -> dict[str, float]:
    """What was last measured on the split, under its logged names."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(f"{split}/")}


def memory_gib() -> float:
    """The most memory held so far: of the GPU where one is used, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
