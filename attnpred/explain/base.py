"""What every explainer keeps to, and how one is made by its name in `conf/explainer`."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config import compose, schema
from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Attention, Batch, TextBatch
from attnpred.models.base import Model


class Explainer(ABC):
    """Says of every part of an input how much it mattered to one of the classes.

    A new explainer is a new file with a subclass and its `<Class>Config`, and a YAML that names it. The model is in
    evaluation mode.
    """

    signed: ClassVar[bool] = False  # whether parts can speak against the class, below 0

    def __init__(self, config: ExplainerConfig, model: Model) -> None:
        self.config = config
        self.model = model

    @classmethod
    def about(cls) -> str:
        """What it does, in a sentence: the first of its file."""
        return (sys.modules[cls.__module__].__doc__ or "").partition("\n\n")[0].replace("\n", " ")

    @abstractmethod
    def __call__(self, batch: Batch, target: Tensor) -> Tensor:
        """target (batch,): the classes to explain -> (batch, parts) float32, 0 on what is no part of the input.

        Without a sign it is a distribution, as a model's own importance is.
        """


class GradientExplainer(Explainer):
    """Takes a batch in halves: of a whole one, gradients of the input need more memory than a step of training."""

    def __call__(self, batch: Batch, target: Tensor) -> Tensor:
        halves = torch.arange(len(batch), device=target.device).chunk(2)
        return torch.cat([self.half(batch.rows(rows), target[rows]) for rows in halves])

    @abstractmethod
    def half(self, batch: Batch, target: Tensor) -> Tensor:
        """As a call, of half of a batch."""


def make(name: str, model: Model) -> Explainer:
    """The explainer that a file of the group describes."""
    config = compose.explainer(name)
    found: Explainer = schema.load(config._target_)(config, model)
    return found


def own_parts(batch: Batch) -> Tensor | None:
    """Which parts are the input's own, (batch, parts) bool; None where all are."""
    return batch.own() if isinstance(batch, TextBatch) else None


def look(model: Model, batch: Batch, *, layers: bool) -> tuple[Tensor, Attention]:
    """Logits in float32, and the model's own attention."""
    output = model(batch, need_attention=True, need_layers=layers)
    assert output.attention is not None
    return output.logits.float(), output.attention


def of_class(logits: Tensor, target: Tensor) -> Tensor:
    """(batch, classes), (batch,) -> each example's number for its class, (batch,)"""
    return logits.gather(1, target[:, None])[:, 0]


@contextmanager
def untrained(model: Model) -> Iterator[None]:
    """Asks for no gradient of the weights: less memory, and what depends on a gradient is an activation."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for p in trained:
            p.requires_grad_(True)


@contextmanager
def entering(model: Model, features: Tensor) -> Iterator[None]:
    """Has the model work on these in place of what its entrance makes of the batch."""
    handle = model.entrance().register_forward_hook(lambda module, given, found: features)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def entrance(model: Model, batch: Batch) -> Tensor:
    """What the model's entrance makes of a batch: (batch, length, width), or (batch, channels, height, width)."""
    found: list[Tensor] = []
    handle = model.entrance().register_forward_hook(lambda module, given, made: found.append(made))
    try:
        model(batch)
    finally:
        handle.remove()
    return found[0].detach().float()


def by_part(features: Tensor, batch: Batch, grid: tuple[int, int] | None) -> Tensor:
    """Sums over channels, and over the pixels of a region; -> (batch, parts), 0 on what is no part of the input."""
    if grid is None:
        total = features.float().sum(-1)  # (batch, length)
        own = own_parts(batch)
        return total if own is None else total * own
    pixels = features.float().sum(1, keepdim=True)  # (batch, 1, height, width)
    area = pixels.shape[2] * pixels.shape[3] / (grid[0] * grid[1])
    return F.adaptive_avg_pool2d(pixels, grid).flatten(1) * area


class FromFeatures(nn.Module):
    """The model as a function of its entrance's features alone, as Captum asks for it."""

    def __init__(self, model: Model, batch: Batch) -> None:
        super().__init__()
        self.model = model
        self.batch = batch

    def forward(self, features: Tensor) -> Tensor:
        """(times x batch, …) -> (times x batch, classes)"""
        turns = torch.arange(len(features), device=features.device) % len(self.batch)
        with entering(self.model, features):
            logits: Tensor = self.model(self.batch.rows(turns)).logits
        return logits.float()


@torch.no_grad()
def grid_of(model: Model, batch: Batch) -> tuple[int, int] | None:
    """Rows and columns of the regions that are an image's parts."""
    return look(model, batch.rows(torch.zeros(1, dtype=torch.long)), layers=False)[1].grid
