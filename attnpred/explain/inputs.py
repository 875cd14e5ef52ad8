"""What each of several inputs has of an explanation and of the answer: shares, and how true maps are on each alone.

A model that was asked to look need not have looked: its answer may hang on the question alone. Whether it did is
measured by taking a whole input away, all else being there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnpred.contracts import Batch, Grid
from attnpred.explain import faithfulness
from attnpred.explain.against_chance import FLOOR, Scores, against_chance, by_explainer
from attnpred.explain.base import evidence_parts, own_parts
from attnpred.explain.removal import Removing
from attnpred.statistics import interval


def places(batch: Batch, grids: tuple[Grid, ...]) -> dict[str, Tensor]:
    """Of each input which of all parts are its own, (batch, parts) bool."""
    own = own_parts(batch, grids)
    counts = [one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True)]
    found, start = {}, 0
    for name, count in zip(batch.inputs, counts, strict=True):
        mine = torch.zeros(len(batch), sum(counts), dtype=torch.bool, device=batch.ids.device)
        mine[:, start : start + count] = True
        found[name] = mine if own is None else mine & own
        start += count
    return found


def shares(importance: Tensor, of_input: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How much of a map's magnitude lies on each input: (batch,) each, which sum to 1."""
    size = importance.abs().float()
    total = size.sum(1).clamp(min=1e-12)
    return {name: (size * mine).sum(1) / total for name, mine in of_input.items()}


class InputStudy:
    """Gathers, example by example, what is measured of each input."""

    def __init__(self, removing: Removing) -> None:
        self.removing = removing
        self.falls: dict[str, list[float]] = {}  # of the score, without the input
        self.shares: dict[str, dict[str, list[float]]] = {}  # explainer → input
        self.scores: dict[str, list[Scores]] = {}  # of each input

    def measure(self, batch: Batch, choice: Tensor, maps: Mapping[str, Tensor], grids: tuple[Grid, ...]) -> None:
        """`maps`: every explainer's, chance among them."""
        of_input = places(batch, grids)
        nothing = torch.zeros_like(next(iter(of_input.values())))
        found = self.removing.scores(batch, choice, torch.stack([nothing, *of_input.values()]), grids)
        for name, fall in zip(of_input, found[:1] - found[1:], strict=True):
            self.falls.setdefault(name, []).extend(fall.tolist())
        evidence = evidence_parts(batch, grids)
        for who, importance in maps.items():
            for name, share in shares(importance, of_input).items():
                self.shares.setdefault(who, {}).setdefault(name, []).extend(share.tolist())
        for name, mine in of_input.items():
            here = mine.any(1).nonzero()[:, 0]  # which examples have the input
            kept: list[Scores] = [{} for _ in range(len(batch))]
            some = batch.rows(here)
            for who, importance in maps.items():
                measured = faithfulness.measure(
                    self.removing, some, choice[here], importance[here], grids, among=mine[here]
                ).scores()
                known = None if evidence is None else (evidence & mine)[here]
                if known is not None and known.any():
                    alone = torch.where(mine[here], importance[here].float(), -torch.inf)
                    pointed = known.gather(1, alone.argmax(1, keepdim=True))[:, 0].float()
                    measured["pointing"] = torch.where(known.any(1), pointed, torch.nan)
                for row, place in enumerate(here.tolist()):
                    values = {score: float(numbers[row]) for score, numbers in measured.items()}
                    kept[place][who] = {score: value for score, value in values.items() if value == value}
            self.scores.setdefault(name, []).extend(kept)

    def result(self) -> dict[str, Any]:
        """Of each input: its shares, what its loss costs, and the measures of maps on it alone."""
        found = {}
        for name, falls in self.falls.items():
            values = by_explainer(self.scores[name])
            found[name] = {
                "fall": list(interval(np.array(falls))),
                "share": {
                    who: list(interval(np.array(each[name]))) for who, each in self.shares.items() if who != FLOOR
                },
                "scores": {
                    who: {score: list(interval(np.array(list(numbers.values())))) for score, numbers in of.items()}
                    for who, of in values.items()
                },
                "tests": against_chance(values),
            }
        return found
