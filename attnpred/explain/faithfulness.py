"""How far an explanation is true of the model: what its answer does when the parts said to matter go, or alone stay.

Comprehensiveness and sufficiency are areas over the perturbation curve (DeYoung et al. 2020); deletion and insertion
areas under the curve (Petsiuk et al. 2018). Each number is of one example, so that means can be given with intervals.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnpred.contracts import Batch, Grid
from attnpred.explain.base import own_parts
from attnpred.explain.removal import Removing

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of the parts, that are taken away or kept
FLAT = 1e-6  # an area that is none
POINTS = 11  # on the way from the whole input to none of it


@dataclass(frozen=True)
class Faithfulness:
    """Of one explainer on a batch; `deletion` and `insertion` are curves over `fractions()`."""

    comprehensiveness: Tensor  # (batch,): the more the better
    sufficiency: Tensor  # (batch,): the less the better
    deletion: Tensor  # (batch, points): the lower the better
    insertion: Tensor  # (batch, points): the higher the better

    def scores(self) -> dict[str, Tensor]:
        """One number an example, (batch,) each."""
        curves = {"deletion": self.deletion, "insertion": self.insertion}
        return {
            "comprehensiveness": self.comprehensiveness,
            "sufficiency": self.sufficiency,
            **{name: area(curve) for name, curve in curves.items()},
        }


def fractions() -> list[float]:
    """Of the parts that are taken away, or put back, at the points of a curve."""
    return [point / (POINTS - 1) for point in range(POINTS)]


def measure(
    removing: Removing,
    batch: Batch,
    choice: Tensor,  # (batch,): what is explained
    importance: Tensor,  # (batch, parts)
    grids: tuple[Grid, ...],
    *,
    among: Tensor | None = None,
) -> Faithfulness:
    """`among`, (batch, parts) bool: the parts that are taken away at all, such as one input's; None for all own."""
    own = own_parts(batch, grids) if among is None else among
    best, worst = ranks(importance, own)
    way = fractions()
    # the curves share their ends with one another: all there, and nothing there
    sets = [within(best, own, share) for share in (*SHARES, *way)] + [within(worst, own, s) for s in way[1:-1]]
    kept = [~within(best, own, share) for share in SHARES]
    kept = kept if among is None else [among & rest for rest in kept]
    found = removing.scores(batch, choice, torch.stack(sets + kept), grids)
    shares = len(SHARES)
    without, deleted, back, only = found.split((shares, POINTS, POINTS - 2, shares))
    whole, nothing = deleted[:1], deleted[-1:]
    # without the least important first, seen from the end, is with the most important first
    insertion = torch.cat((nothing, back.flip(0), whole))
    return Faithfulness(
        comprehensiveness=(whole - without).mean(0),
        sufficiency=(whole - only).mean(0),
        deletion=deleted.T,
        insertion=insertion.T,
    )


def brief(
    removing: Removing, batch: Batch, choice: Tensor, importance: Tensor, grids: tuple[Grid, ...]
) -> dict[str, Tensor]:
    """Comprehensiveness and sufficiency alone, (batch,) each, in a third of the passes."""
    own = own_parts(batch, grids)
    best, _ = ranks(importance, own)
    taken = torch.stack([within(best, own, share) for share in (0.0, *SHARES)])
    whole = removing.scores(batch, choice, taken[:1], grids)
    without = removing.scores(batch, choice, taken[1:], grids)
    only = removing.scores(batch, choice, ~taken[1:], grids)
    return {"comprehensiveness": (whole - without).mean(0), "sufficiency": (whole - only).mean(0)}


def rank_correlation(one: Tensor, other: Tensor, own: Tensor | None) -> Tensor:
    """Spearman's, of two importances (batch, parts) over each example's own parts: (batch,); 0 where one is flat."""
    found = []
    for row in range(len(one)):
        kept = slice(None) if own is None else own[row]
        a, b = (_mean_ranks(scores[row][kept]) for scores in (one, other))
        spread = a.std(correction=0) * b.std(correction=0)
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        found.append(torch.where(spread > 0, covariance / spread, 0.0))
    return torch.stack(found)


def _mean_ranks(scores: Tensor) -> Tensor:
    """Ranks from 0, equal scores sharing theirs."""
    _, place, count = scores.double().unique(sorted=True, return_inverse=True, return_counts=True)
    ends = count.cumsum(0).double()
    return (ends - (count + 1) / 2)[place]


def ranks(importance: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each own part's place from the most important down, and from the least up, (batch, parts); others come last."""

    def places(scores: Tensor) -> Tensor:
        scores = scores if own is None else scores.masked_fill(~own, float("inf"))
        return scores.argsort(dim=1, stable=True).argsort(dim=1)

    return places(-importance.float()), places(importance.float())


def within(rank: Tensor, own: Tensor | None, share: float) -> Tensor:
    """The first `share` of each example's own parts, at least one unless it is 0: (batch, parts) bool."""
    count = torch.full((len(rank),), rank.shape[1], device=rank.device) if own is None else own.sum(1)
    # tenths are no binary fractions: 0.1 of 10 is one, not two
    many = (share * count - 1e-6).ceil().clamp(min=0.0)
    inside = rank < many[:, None]
    return inside if own is None else inside & own


def between(found: dict[str, tuple[Tensor, Tensor]], floor: str) -> dict[str, Tensor]:
    """RACU (Madsen et al. 2022): how far each explainer's curve of deletion lies below chance's, (examples,) each.

    `found` has everyone's curves of deletion and insertion, (examples, points). The unit is the area between chance
    and an answer that falls at once, as the mean over examples; nothing, where chance leaves no room below it.
    """
    deletion, insertion = found[floor]
    # what goes in, seen from the end, is another order at random
    chance = area((deletion + insertion.flip(1)) / 2)
    room = (chance - deletion[:, -1]).mean()
    if not room > FLAT:
        return {}
    return {name: (chance - area(curve)) / room for name, (curve, _) in found.items()}


def area(curve: Tensor) -> Tensor:
    """Under (batch, points), from 0 to 1."""
    return torch.trapezoid(curve, dx=1 / (curve.shape[1] - 1), dim=1)
