"""One number a row, or several: from one column each, or from a column of lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.data.targets import Collector, Stored, Target
from attnpred.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Numbers(TargetSpec):
    """Names of the numbers, with mean and standard deviation of each over the train part."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def check(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("it has no numbers, or two of one name")
        if not len(self.names) == len(self.mean) == len(self.deviation):
            raise ValueError("mean and deviation need a value for each number")
        if not all(np.isfinite(self.mean)) or not all(0 < one < np.inf for one in self.deviation):
            raise ValueError("mean or deviation is not a finite number, or a deviation is not above 0")


class NumberCollector(Collector):
    """A missing number is None or NaN, and is kept as NaN."""

    def __init__(self, place: str, columns: Sequence[str]) -> None:
        self._place, self._columns = place, columns
        self._chunks: list[NDArray[np.float64]] = []

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        try:
            if len(columns) == 1:
                found = self._one(columns[0])
            else:
                found = np.array([[_number(v) for v in column] for column in columns], np.float64).T
        except (TypeError, ValueError) as error:
            raise UserError(f"{self._place}: {error}; choose columns of numbers") from None
        if usable is not None:
            found[~np.asarray(usable, bool)] = np.nan
        known = next((chunk.shape[1] for chunk in self._chunks if chunk.shape[1]), 0)
        if known and found.shape[1] not in (0, known):
            raise self._uneven(known, found.shape[1])
        self._chunks.append(found)

    def _one(self, values: list[Any]) -> NDArray[np.float64]:
        """A column of numbers, or of lists of as many numbers each; -> (rows, numbers), or (rows, 0) of None alone"""
        if all(value is None for value in values):
            return np.empty((len(values), 0))
        lists = [value for value in values if isinstance(value, list)]
        if not lists:
            return np.array([[_number(v)] for v in values], np.float64)
        width = len(lists[0])
        for value in values:
            if value is not None and (not isinstance(value, list) or len(value) != width):
                raise self._uneven(width, len(value) if isinstance(value, list) else 1)
        return np.array([[np.nan] * width if v is None else [_number(n) for n in v] for v in values], np.float64)

    def _uneven(self, first: int, other: int) -> UserError:
        return UserError(f"{self._place}: some rows have {first} numbers, some {other}; give every row as many")

    def finish(self) -> Stored:
        width = max([chunk.shape[1] for chunk in self._chunks if chunk.shape[1]] or [len(self._columns)])
        chunks = [chunk if chunk.shape[1] else np.full((len(chunk), width), np.nan) for chunk in self._chunks]
        values = np.concatenate(chunks) if chunks else np.zeros((0, width))
        if len(self._columns) == values.shape[1]:
            names = list(self._columns)
        else:
            names = [f"{self._columns[0]}[{i}]" for i in range(values.shape[1])]
        return Stored(values, {"names": names})


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, str | bytes):
        raise ValueError(f"holds texts ({str(value)[:40]!r})")
    return float(value)


class NumberTarget(Target[Numbers]):
    """Columns of numbers. Batches carry them standardised by the train part's mean and deviation, in float32."""

    kind = "number-1"

    def collector(self, names: Sequence[list[str] | None]) -> NumberCollector:
        if any(names):
            raise UserError(f"{self.place}: holds classes; choose columns of numbers, or task=classification")
        return NumberCollector(self.place, self.columns)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        good: NDArray[np.bool_] = np.isfinite(stored.values).all(1)
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        bad = int(np.flatnonzero(~np.isfinite(stored.values[row]))[0])
        return f"has no finite number in {stored.about['names'][bad]} ({stored.values[row][bad]})"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> Numbers:
        values = stored.values[rows]
        deviation = values.std(0)
        return Numbers(
            names=tuple(stored.about["names"]),
            mean=tuple(values.mean(0).tolist()),
            deviation=tuple(np.where(deviation > 0, deviation, 1.0).tolist()),
        )

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: Numbers, place: str) -> NDArray[Any]:
        if stored.values.shape[1] != len(spec.names):
            raise UserError(
                f"{place}: {self.place} holds {stored.values.shape[1]} numbers a row, the model answers "
                f"{len(spec.names)}; name as many columns"
            )
        return (stored.values[rows] - np.array(spec.mean)) / np.array(spec.deviation)

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        return {"numbers": torch.from_numpy(values.astype(np.float32))}

    def check_varied(self, values: NDArray[Any], spec: Numbers, place: str) -> None:
        same = np.flatnonzero((values == values[:1]).all(0))
        if len(same):
            name, value = spec.names[same[0]], spec.mean[same[0]]
            raise UserError(
                f"{place}: every row has {value:g} in {name}, from which nothing can be learned; choose other columns "
                f"than {self.place}"
            )
