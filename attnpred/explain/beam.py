"""Beam-searched occlusion (Zhou and Shah 2022): the order of parts that does best in the measures themselves.

Sets grow by a part at a time, and those stay whose removal costs most and whose keeping costs least. It is no
explanation to live with, but shows how much there is to be had.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch, Grid
from attnpred.explain.by_example import ByExample, Present


@dataclass(kw_only=True)
class BeamConfig(ExplainerConfig):
    """Options of beam search."""

    beams: int = option("Sets that are kept at each step.", ge=1, le=1_000)
    steps: int = option("Parts that are put in order so; the rest by what each costs alone.", ge=1, le=10_000)


class Beam(ByExample):
    config: BeamConfig

    @torch.no_grad()
    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        asked = Present(self.model, self.task, batch, choice, places, grids)
        count = len(places)
        orders, totals = [[]], torch.zeros(1, device=places.device)  # type: ignore[var-annotated]
        alone = torch.zeros(count, device=places.device)
        for step in range(min(self.config.steps, count)):
            grown = [[*order, part] for order in orders for part in range(count) if part not in order]
            named = torch.zeros(len(grown), count, device=places.device)
            for row, order in enumerate(grown):
                named[row, order] = 1.0
            gain = asked(named) - asked(1 - named)  # what they alone say, and what all but they do
            if step == 0:
                alone = gain
            before = totals.repeat_interleave(count - step)
            orders, totals = _best(grown, before + gain, self.config.beams)
        best = orders[int(totals.argmax())]
        rest = [part for part in alone.argsort(descending=True).tolist() if part not in best]
        found = torch.empty(count, device=places.device)
        found[[*best, *rest]] = torch.arange(count, 0, -1, device=places.device, dtype=torch.float32)
        return found / found.sum()


def _best(orders: list[list[int]], totals: Tensor, many: int) -> tuple[list[list[int]], Tensor]:
    """The best orders with their totals, one of each set of parts."""
    kept: dict[frozenset[int], int] = {}
    for place in totals.argsort(descending=True).tolist():
        kept.setdefault(frozenset(orders[place]), place)
        if len(kept) == many:
            break
    places = list(kept.values())
    return [orders[place] for place in places], totals[places]
