"""Taking parts of an input away, which can be done in several ways: the choice changes what is measured."""

from dataclasses import replace

import torch
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Batch, Grid, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.models.base import Model
from attnpred.tasks.base import Task


def check(removal: Removal | None, spec: ModelSpec) -> Removal:
    """The removal to use; refuses what a kind of input does not know."""
    stays = spec.answer.shape == "parts"  # each part at its place, for which it has an answer
    known = [
        name
        for name in next(iter(spec.inputs.values())).removals
        if all(name in s.removals and not (stays and name in s.moving) for s in spec.inputs.values())
    ]
    if removal not in (None, *known):
        reads = " and ".join(one.modality for one in spec.inputs.values())
        what = "answers for each part" if stays else f"reads {reads}"
        raise UserError(f"removal={removal}: not for a model that {what}; use {' or '.join(known)}")
    return removal or known[0]


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
        """Of what was chosen, with each of the sets of parts taken away: (times, batch)."""
        found = []
        for some in gone:  # a batch at a time: no more memory than one step of training
            output: ModelOutput = self.model(remove(batch, some, self.removal, self.model.spec, grids))
            found.append(self.task.score(output, choice))
        return torch.stack(found)
