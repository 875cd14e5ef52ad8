"""The values that come next: columns of a series at the moments after those that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.data.number_target import NumberCollector
from attnpred.data.targets import Stored, Target
from attnpred.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Future(TargetSpec):
    """What is forecast, with mean and standard deviation of each variable over the train part."""

    names: tuple[str, ...]  # of the variables
    places: tuple[int, ...]  # of each among those that a model reads
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    scale: tuple[float, ...]  # mean error of the seasonal naive forecast within the train part, standardised
    steps: int  # moments
    season: int  # moments after which the series is taken to repeat

    def check(self) -> None:
        count = len(self.names)
        if not count or not all(len(one) == count for one in (self.places, self.mean, self.deviation, self.scale)):
            raise ValueError("places, mean, deviation and scale need a value for each variable")
        if not np.isfinite(self.mean).all() or not all(0 < v < np.inf for v in (*self.deviation, *self.scale)):
            raise ValueError("a mean, deviation or scale is not a finite number, or not above 0")
        if self.steps < 1 or self.season < 1 or min(self.places) < 0:
            raise ValueError("steps, season or places are too small")


class FutureTarget(Target[Future]):
    """Columns of numbers, of which windows are forecast. What makes the windows is the dataset."""

    kind = "future-1"

    def __init__(self, columns: Sequence[str], option: str, steps: int, season: int | None) -> None:
        super().__init__(columns, option)
        self.steps, self.season = steps, season

    def collector(self, names: Sequence[list[str] | None]) -> NumberCollector:
        return NumberCollector(self.place, self.columns)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        """All: a missing value is left out of loss and errors."""
        return np.ones(len(stored.values), bool)

    def complaint(self, stored: Stored, row: int) -> str:
        return "has no value"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> Future:
        raise UserError(
            f"{self.place}: a forecast needs moments in the order of time; use data=series, or another task"
        )

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: Future, place: str) -> NDArray[Any]:
        return np.asarray(stored.values[rows])

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        raise NotImplementedError("windows are cut by the dataset")

    def named(self, window: Tensor, there: Tensor | None) -> dict[str, Tensor]:
        """A batch's targets: standardised values, (batch, variables, steps), NaN where they are not `there`."""
        return (
            {"future": window} if there is None else {"future": window.masked_fill(~there, torch.nan), "there": there}
        )
