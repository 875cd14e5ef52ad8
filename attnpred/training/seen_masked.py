"""Training examples shown with parts removed, so that a model knows the inputs by which explanations are measured.

Taking parts away makes inputs that a model never saw, unless it saw such in training (Madsen et al. 2024). The removal
is the one that is measured, and the share of parts that go is drawn anew for each example, from none to all.
"""

from dataclasses import replace

import torch
from torch import Tensor

from attnpred.contracts import Batch, Grid, Input
from attnpred.explain.base import grids_of, own_parts
from attnpred.explain.removal import check, remove
from attnpred.models.base import Model


class SeenMasked:
    """Removes a random share of the parts of some examples, drawn from the generator that a run's state is made of."""

    def __init__(self, model: Model, share: float) -> None:
        self.model, self.share = model, share
        self._grids: dict[tuple[torch.Size, ...], tuple[Grid, ...]] = {}

    def __call__(self, batch: Batch) -> Batch:
        if not self.share:
            return batch
        grids = self._of(batch)
        gone = self._drawn(batch, grids)  # (batch, parts)
        shown = remove(batch, gone, check(None, self.model.spec), self.model.spec, grids)
        return replace(shown, inputs={name: _unmarked(one, gone.any(1)) for name, one in shown.inputs.items()})

    def _drawn(self, batch: Batch, grids: tuple[Grid, ...]) -> Tensor:
        parts = sum(one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True))
        device = batch.ids.device
        chosen = torch.rand(len(batch), 1, device=device) < self.share
        gone = chosen & (torch.rand(len(batch), parts, device=device) < torch.rand(len(batch), 1, device=device))
        own = own_parts(batch, grids)
        return gone if own is None else gone & own

    def _of(self, batch: Batch) -> tuple[Grid, ...]:
        """How the model cuts inputs of this size, which it is asked once, without a trace on it."""
        tensors = [t for one in batch.inputs.values() for t in vars(one).values() if isinstance(t, Tensor)]
        size = tuple(t.shape[1:] for t in tensors)
        if size not in self._grids:
            training = self.model.training
            self.model.eval()
            try:
                with torch.no_grad():
                    self._grids[size] = grids_of(self.model, batch)
            finally:
                self.model.train(training)
        return self._grids[size]


def _unmarked(one: Input, hidden: Tensor) -> Input:
    """The input without its evidence where parts are gone, since nothing is left to find there."""
    if one.evidence is None:
        return one
    return replace(one, evidence=one.evidence & ~hidden.view(-1, *[1] * (one.evidence.ndim - 1)))
