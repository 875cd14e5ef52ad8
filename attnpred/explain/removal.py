"""Taking parts of an input away, which can be done in several ways: the choice changes what is measured."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Batch, Grid, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.explain.base import own_parts
from attnpred.models.base import Model
from attnpred.tasks.base import Task


def check(removal: Removal | None, spec: ModelSpec) -> Removal:
    """The removal to use; refuses what a kind of input does not know."""
    known = usable(spec)
    if removal not in (None, *known):
        reads = " and ".join(one.modality for one in spec.inputs.values())
        what = "answers for each part" if stays(spec) else f"reads {reads}"
        raise UserError(f"removal={removal}: not for a model that {what}; use {' or '.join(known)}")
    return removal or known[0]


def stays(spec: ModelSpec) -> bool:
    """Whether each part has a place of its own, for which it has an answer."""
    return spec.answer.shape in ("parts", "hidden")


def usable(spec: ModelSpec) -> list[Removal]:
    """The removals that all inputs know, the usual one first."""
    return [
        name
        for name in next(iter(spec.inputs.values())).removals
        if all(name in s.removals and not (stays(spec) and name in s.moving) for s in spec.inputs.values())
    ]


def second(removal: Removal, spec: ModelSpec) -> Removal | None:
    """Another removal than that, to compare with; None where there is none."""
    return next((name for name in usable(spec) if name != removal), None)


def remove(batch: Batch, gone: Tensor, removal: Removal, spec: ModelSpec, grids: tuple[Grid, ...]) -> Batch:
    """The batch without the parts `gone`, (batch, parts) bool; what is no part of an input, such as padding, stays.

    The parts of several inputs follow one another in `gone`.
    """
    counts = [one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True)]
    changed = {}
    for (name, one), grid, some in zip(batch.inputs.items(), grids, gone.split(counts, dim=1), strict=True):
        changed[name] = one.without(some, removal, spec.inputs[name], grid)
    return replace(batch, inputs=changed)


def emptied(batch: Batch, spec: ModelSpec) -> Batch:
    """The batch without any of its content."""
    grids: tuple[Grid, ...] = tuple((1, 1) for _ in batch.inputs)
    parts = sum(one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True))
    gone = torch.ones((len(batch), parts), dtype=torch.bool, device=batch.ids.device)
    return remove(batch, gone, "mask", spec, grids)


class Removing:
    """A model and its task, asked again and again with parts of the input taken away."""

    def __init__(self, model: Model, task: Task, removal: Removal | None = None) -> None:
        self.model, self.task = model, task
        self.removal = check(removal, model.spec)

    @torch.no_grad()
    def scores(
        self,
        batch: Batch,
        choice: Tensor,  # (batch,)
        gone: Tensor,  # (times, batch, parts) bool
        grids: tuple[Grid, ...],
    ) -> Tensor:
        """Of what was chosen, with each of the sets of parts taken away: (times, batch).

        Short examples are asked together, without the padding of long ones, and none twice for the same parts. It
        takes no more memory than the batch at once.
        """
        if len(gone) == 1:
            return self._asked(batch, choice, gone[0], grids)[None]
        own = own_parts(batch, grids)
        taken = gone if own is None else gone & own
        idle = ~taken.any(2)  # (times, batch)
        first = idle & (idle.cumsum(0) == 1)
        asked = (~idle | first).flatten().nonzero()[:, 0]
        rows = asked % len(batch)
        size = torch.full_like(choice, gone.shape[2]) if own is None else own.sum(1)
        order = size[rows].argsort(descending=True, stable=True)
        asked, rows, taken = asked[order], rows[order], taken.flatten(0, 1)
        found = torch.zeros(gone.shape[:2], device=gone.device).flatten()
        for start, end in _shares(size[rows].tolist(), gone.shape[1] * gone.shape[2]):
            some = rows[start:end]
            found[asked[start:end]] = self._asked(batch.rows(some), choice[some], taken[asked[start:end]], grids)
        scores = found.view(gone.shape[:2])
        return torch.where(idle, (scores * first).sum(0), scores)

    def _asked(self, batch: Batch, choice: Tensor, gone: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """(batch,), without the parts `gone`, (batch, parts)."""
        left = remove(batch, gone, self.removal, self.model.spec, grids)
        output: ModelOutput = self.model(
            replace(left, inputs={name: one.trimmed() for name, one in left.inputs.items()})
        )
        return self.task.score(output, choice).float()


def _shares(sizes: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Where to cut examples of falling size, so that none of the pieces takes more room than `most` parts."""
    start = 0
    while start < len(sizes):
        end = min(start + max(most // max(sizes[start], 1), 1), len(sizes))
        yield start, end
        start = end
