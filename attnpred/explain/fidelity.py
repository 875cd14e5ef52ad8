"""F-Fidelity (Zheng et al. 2025): never more is removed than a model has often seen removed.

Of the parts that an explanation names, some drawn at random go, and as many of the others in their place. A true one
shows in how much more the first costs.
"""

import torch
from torch import Tensor

from attnpred.contracts import Batch, Grid
from attnpred.explain.base import own_parts
from attnpred.explain.faithfulness import ranks, within
from attnpred.explain.removal import Removing

SIZES = (0.1, 0.2, 0.3, 0.5)  # shares of the parts that count as named
GONE = 0.5  # share of the named parts that goes
MOST = 0.2  # and of all parts, at most
DRAWS = 3


def f_fidelity(
    removing: Removing,
    batch: Batch,
    choice: Tensor,  # (batch,)
    importance: Tensor,  # (batch, parts)
    grids: tuple[Grid, ...],
) -> Tensor:
    """How much more the score falls without named parts than without as many others, (batch,): the more the better."""
    own = own_parts(batch, grids)
    every = torch.ones_like(importance, dtype=torch.bool) if own is None else own
    best, _ = ranks(importance, own)
    sets = []
    for number, size in enumerate(SIZES):
        named = within(best, own, size)
        many = (GONE * named.sum(1)).clamp(max=MOST * every.sum(1)).ceil()  # (batch,)
        for draw in range(DRAWS):
            keys = _keys(batch, importance.shape[1], number * DRAWS + draw).to(importance.device)
            sets += [_first(keys, some, many) for some in (named, every & ~named)]
    scores = removing.scores(batch, choice, torch.stack(sets), grids)
    return (scores[1::2] - scores[::2]).mean(0)


def _first(keys: Tensor, among: Tensor, many: Tensor) -> Tensor:
    """As many of them as are asked for, those whose keys are least: (batch, parts) bool."""
    order = keys.masked_fill(~among, torch.inf).argsort(dim=1).argsort(dim=1)
    return among & (order < many[:, None])


def _keys(batch: Batch, parts: int, draw: int) -> Tensor:
    """Random numbers, (batch, parts), that follow from the example alone."""
    rows = []
    for number in batch.ids.tolist():
        generator = torch.Generator().manual_seed(hash((draw, number)) % 2**63)
        rows.append(torch.rand(parts, generator=generator))
    return torch.stack(rows)
