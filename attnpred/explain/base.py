"""What every explainer keeps to, and how one is made by its name in `conf/explainer`."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config import compose, schema
from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Attention, Batch, Grid, Input, ModelOutput
from attnpred.models.base import Model
from attnpred.models.ensemble import regridded
from attnpred.tasks.base import Task


class Explainer(ABC):
    """Says of every part of an input how much it mattered to one answer.

    A new explainer is a new file with a subclass and its `<Class>Config`, and a YAML that names it. The model is in
    evaluation mode.
    """

    signed: ClassVar[bool] = False  # whether parts can speak against the answer, below 0
    inside: ClassVar[bool] = False  # whether it looks into a model; of a model that is several, into each

    def __init__(self, config: ExplainerConfig, model: Model, task: Task) -> None:
        self.config = config
        self.model = model
        self.task = task

    @classmethod
    def about(cls) -> str:
        """What it does, in a sentence: the first of its file."""
        return (sys.modules[cls.__module__].__doc__ or "").partition("\n\n")[0].replace("\n", " ")

    @abstractmethod
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        """choice (batch,): what to explain of each answer -> (batch, parts) float32, 0 on what is no part of an input.

        Without a sign it is a distribution, as a model's own importance is.
        """


class GradientExplainer(Explainer):
    """Takes a batch in halves: of a whole one, gradients of the input need more memory than a step of training."""

    inside: ClassVar[bool] = True

    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        halves = torch.arange(len(batch), device=choice.device).chunk(2)
        return torch.cat([self.half(batch.rows(rows), choice[rows]) for rows in halves])

    @abstractmethod
    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        """As a call, of half of a batch."""


def make(name: str, model: Model, task: Task) -> Explainer:
    """The explainer that a file of the group describes."""
    config = compose.explainer(name)
    kind = schema.load(config._target_)
    several = model.within() if kind.inside else []
    found: Explainer = OfSeveral([kind(config, one, task) for one in several]) if several else kind(config, model, task)
    return found


class OfSeveral(Explainer):
    """The mean of the maps of several models that answer as one, on the parts of the first."""

    def __init__(self, each: Sequence[Explainer]) -> None:
        super().__init__(each[0].config, each[0].model, each[0].task)
        self.each = each
        self.signed = each[0].signed  # type: ignore[misc]

    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        grids = [grids_of(one.model, batch) for one in self.each]
        maps = zip(self.each, grids, strict=True)
        return torch.stack([regridded(one(batch, choice), own, grids[0]) for one, own in maps]).mean(0)


def own_parts(batch: Batch, grids: tuple[Grid, ...] = (None,)) -> Tensor | None:
    """Which parts are the inputs' own, (batch, parts) bool; None where all are."""
    inputs = list(batch.inputs.values())
    if all(one.own() is None and one.given is None for one in inputs):
        return None
    if len(inputs) == 1:
        return inputs[0].own()
    return torch.cat([_own_of(one, grid, batch) for one, grid in zip(inputs, grids, strict=True)], dim=1)


def _own_of(one: Input, grid: Grid, batch: Batch) -> Tensor:
    """One input's, (batch, parts) bool: none of an input that is missing."""
    own = one.own()
    if own is None:
        own = torch.ones(len(batch), one.parts(grid), dtype=torch.bool, device=batch.ids.device)
    return own if one.given is None else own & one.given[:, None]


def evidence_parts(batch: Batch, grids: tuple[Grid, ...]) -> Tensor | None:
    """Which parts hold evidence, (batch, parts) bool; None where none is recorded."""
    inputs = zip(batch.inputs.values(), grids, strict=True)
    found = [(one, grid, one.evidence_on(grid)) for one, grid in inputs]
    if all(marks is None for _, _, marks in found):
        return None
    nothing = torch.zeros((len(batch), 1), dtype=torch.bool, device=batch.ids.device)
    marks = [nothing.expand(-1, one.parts(grid)) if known is None else known for one, grid, known in found]
    return torch.cat(marks, dim=1)


def look(model: Model, batch: Batch, *, layers: bool, choice: Tensor | None = None) -> tuple[ModelOutput, Attention]:
    """The model's output, and its own attention."""
    output: ModelOutput = model(batch, need_attention=True, need_layers=layers, choice=choice)
    assert output.attention is not None
    return output, output.attention


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
def entering(model: Model, features: Sequence[Tensor]) -> Iterator[None]:
    """Has the model work on these in place of what its entrances make of the batch's inputs."""
    each = zip(model.entrances(), features, strict=True)
    handles = [module.register_forward_hook(_returning(one)) for module, one in each]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _returning(features: Tensor) -> Callable[..., Tensor]:
    return lambda module, given, found: features


@torch.no_grad()
def entrances(model: Model, batch: Batch) -> tuple[Tensor, ...]:
    """What the model's entrances make of a batch's inputs.

    (batch, length, width), or (batch, channels, height, width), each.
    """
    found: list[list[Tensor]] = [[] for _ in model.entrances()]
    each = zip(model.entrances(), found, strict=True)
    handles = [module.register_forward_hook(_noting(some)) for module, some in each]
    try:
        model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(some[0].detach().float() for some in found)


def _noting(found: list[Tensor]) -> Callable[..., None]:
    return lambda module, given, made: found.append(made)


def by_part(features: Sequence[Tensor], batch: Batch, grids: tuple[Grid, ...]) -> Tensor:
    """Sums over channels, and over the pixels of a region; -> (batch, parts), 0 on what is no part of an input."""
    total = torch.cat([_by_part(one, grid) for one, grid in zip(features, grids, strict=True)], dim=1)
    own = own_parts(batch, grids)
    return total if own is None else total * own


def _by_part(features: Tensor, grid: Grid) -> Tensor:
    if grid is None:
        return features.float().sum(-1)  # (batch, length)
    pixels = features.float().sum(1, keepdim=True)  # (batch, 1, height, width)
    area = pixels.shape[2] * pixels.shape[3] / (grid[0] * grid[1])
    return F.adaptive_avg_pool2d(pixels, grid).flatten(1) * area


class FromFeatures(nn.Module):
    """The chosen score as a function of the entrances' features alone, as Captum asks for it."""

    def __init__(self, model: Model, task: Task, batch: Batch, choice: Tensor) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.batch, self.choice = batch, choice

    def forward(self, *features: Tensor) -> Tensor:
        """(times x batch, …) each, the batch again and again -> (times x batch,)"""
        turns = torch.arange(len(features[0]), device=features[0].device) % len(self.batch)
        with entering(self.model, features):
            output: ModelOutput = self.model(self.batch.rows(turns))
        return self.task.score(output, self.choice[turns], linear=True)


@torch.no_grad()
def grids_of(model: Model, batch: Batch) -> tuple[Grid, ...]:
    """Rows and columns of the regions that are an image's parts."""
    return look(model, batch.rows(torch.zeros(1, dtype=torch.long)), layers=False)[1].grids
