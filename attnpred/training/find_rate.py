"""A learning rate, or a batch size, found by trying: before training, on a copy of the model."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from attnpred.config import schema
from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.files import write_json, write_text
from attnpred.machine.device import Chosen
from attnpred.pages.plot import curve
from attnpred.training import optimizers
from attnpred.training.learner import Learner

LOWEST, HIGHEST, TRIES = 1e-7, 10.0, 120  # learning rates, and optimizer steps between them
SMOOTHING = 0.9  # of the loss, which single batches make jump
DIVERGED = 3.0  # times the least loss so far
WARMUP, TIMED = 2, 4  # steps at each batch size
GAIN = 1.1  # in examples a second that the next batch size must bring
STEPS_AN_EPOCH = 8  # at least, at the largest batch size


def find(config: Config, chosen: Chosen, data: Any, learner: Learner, directory: Path) -> Config:
    """The config with what `trainer.find` asks for; the points tried, a plot and the choice go to `directory`."""
    directory.mkdir(exist_ok=True)
    trial = Trial(config, chosen, learner)
    with torch.random.fork_rng():
        if config.trainer.find == "lr":
            points, choice = find_rate(trial, batches(data, config.seed), config.optimizer.lr)
            found = replace(config, optimizer=replace(config.optimizer, lr=choice))
            _keep(directory, "optimizer.lr", "loss", points, choice)
        else:
            points, choice = find_batch_size(trial, data, config)
            found = replace(config, data=replace(config.data, batch_size=int(choice)))
            _keep(directory, "data.batch_size", "examples a second", points, choice)
    return found


class Trial:
    """Steps of training on a copy of the model, which is then thrown away."""

    def __init__(self, config: Config, chosen: Chosen, learner: Learner) -> None:
        self.config, self.chosen, self.learner = config, chosen, learner
        self.device = chosen.device_type
        self.restart()

    def restart(self) -> None:
        self.model = copy.deepcopy(self.learner.model).to(self.device).train()
        self.optimizer = optimizers.make(self.model, self.config.optimizer, fused=False)
        highest = max(group["lr"] for group in self.optimizer.param_groups)
        self.shares = [group["lr"] / highest for group in self.optimizer.param_groups]

    def step(self, batch: Batch, rate: float) -> float:
        """Moves the weights by the batch's gradient at the rate; the loss before."""
        batch = batch.to(self.device)
        if self.learner.augment is not None:
            batch = self.learner.augment(batch, self.config.trainer.max_epochs - 1)  # the first may show less
        seen = self.learner.task.seen(batch)
        with self.chosen.autocast():
            loss = self.learner.loss(self.model(seen), seen)
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.trainer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.trainer.clip_norm)
        for group, share in zip(self.optimizer.param_groups, self.shares, strict=True):
            group["lr"] = rate * share
        self.optimizer.step()
        return loss.item()


def batches(data: Any, seed: int) -> Iterator[Batch]:
    """The training batches, epoch after epoch."""
    loader = data.loader("train", seed=seed)
    for epoch in count():
        loader.set_epoch(epoch)
        yield from loader


def find_rate(trial: Trial, stream: Iterator[Batch], fallback: float) -> tuple[list[tuple[float, float]], float]:
    """Rates from tiny to huge with the smoothed loss at each; and the one at which the loss falls fastest.

    `fallback` is chosen where it falls nowhere.
    """
    points: list[tuple[float, float]] = []
    mean = 0.0
    for i in range(TRIES):
        rate = LOWEST * (HIGHEST / LOWEST) ** (i / (TRIES - 1))
        loss = trial.step(next(stream), rate)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smooth = mean / (1 - SMOOTHING ** (i + 1))
        if not math.isfinite(smooth) or smooth > DIVERGED * min([s for _, s in points], default=smooth):
            break
        points.append((rate, smooth))
    losses = [loss for _, loss in points]
    lowest = losses.index(min(losses)) if losses else 0
    # neighbours of neighbours: the slope of two points is mostly noise
    slopes = {i: losses[i + 2] - losses[i - 2] for i in range(2, min(lowest + 1, len(losses) - 2))}
    steepest = min(slopes, key=slopes.__getitem__, default=None)
    if steepest is None or slopes[steepest] >= 0:
        return points, fallback
    return points, float(f"{points[steepest][0]:.2g}")


def find_batch_size(trial: Trial, data: Any, config: Config) -> tuple[list[tuple[float, float]], float]:
    """Examples a second at twice the batch size each time; and the smallest size that the next hardly beats."""
    if getattr(config.data, "token_budget", None) is not None:
        raise UserError("trainer.find=batch_size: batches go by data.token_budget; set that to null to find a size")
    kind: Callable[..., Any] = schema.load(config.data._target_)
    points: list[tuple[float, float]] = []
    size = config.data.batch_size
    while True:
        sized = kind(
            replace(config.data, batch_size=size), data.target, reader=data.reader, target_spec=data.target_spec
        )
        loader = sized.loader("train", seed=config.seed)
        if points and len(loader) < STEPS_AN_EPOCH:
            break
        try:
            speed = _speed(trial, batches(sized, config.seed))
        except torch.OutOfMemoryError:
            break
        slow = bool(points) and speed < GAIN * points[-1][1]
        points.append((float(size), speed))
        if slow:
            return points, points[-2][0]
        size *= 2
    return points, points[-1][0] if points else float(config.data.batch_size)


def _speed(trial: Trial, stream: Iterator[Batch]) -> float:
    trial.restart()
    examples, start = 0, 0.0
    for i in range(WARMUP + TIMED):
        batch = next(stream)
        trial.step(batch, 0.0)
        examples += len(batch) if i >= WARMUP else 0
        start = time.monotonic() if i == WARMUP - 1 else start
    return examples / (time.monotonic() - start)


def _keep(directory: Path, name: str, measured: str, points: list[tuple[float, float]], choice: float) -> None:
    write_json(directory / "points.json", {"option": name, "measured": measured, "points": points, "choice": choice})
    write_text(directory / "curve.svg", curve(points, choice, x=name, y=measured))
    say(f"{name}={choice:g} found; see {directory}")
