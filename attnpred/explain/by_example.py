"""What explainers share that ask about one example at a time, of its own parts, with drawn numbers."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from attnpred.contracts import Batch, Grid
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.explain.removal import Removing
from attnpred.models.base import Model
from attnpred.tasks.base import Task


class ByExample(Explainer):
    """Draws the same numbers for the same example, whatever its batch, and leaves everyone else's as they were."""

    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        with torch.no_grad():
            _, attention = look(self.model, batch, layers=False)
        found = torch.zeros_like(attention.importance)  # (batch, parts)
        own = own_parts(batch, attention.grids)
        every = torch.ones_like(found, dtype=torch.bool) if own is None else own
        for row in range(len(batch)):
            alone = batch.rows(torch.tensor([row], device=choice.device))
            places = every[row].nonzero()[:, 0]
            with drawing(int(batch.ids[row])):
                found[row, places] = self.one(alone, choice[row : row + 1], places, attention.grids).float()
        return found

    @abstractmethod
    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """Of a batch of one example: a number for each of its own parts, which are at `places`, (parts,)."""


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Whatever torch and numpy draw follows from the seed."""
    kept = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(kept)


class Present(nn.Module):
    """The chosen score of one example as a function of which of its own parts are there, as Captum asks for it."""

    def __init__(
        self, model: Model, task: Task, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]
    ) -> None:
        super().__init__()
        self.removing = Removing(model, task)
        self.batch, self.choice, self.places, self.grids = batch, choice, places, grids
        self.parts = sum(one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True))

    def forward(self, present: Tensor) -> Tensor:
        """(times, own parts), 1 where one is there and 0 where not -> (times,)"""
        gone = torch.zeros(len(present), self.parts, dtype=torch.bool, device=present.device)
        gone[:, self.places] = present < 0.5
        rows = torch.zeros(len(present), dtype=torch.long, device=present.device)
        return self.removing.scores(self.batch.rows(rows), self.choice[rows], gone[None], self.grids)[0]

    def whole(self) -> Tensor:
        """All parts, as an input: (1, own parts)."""
        return torch.ones(1, len(self.places), device=self.places.device)
