"""Any number of labels a row: a column of lists, or a column of 0 and 1 for each label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.data.class_target import shown
from attnpred.data.targets import Collector, Stored, Target
from attnpred.errors import UserError

NONE, UNKNOWN = 0, 255  # a row that has not the label; one of which nobody knows


@dataclass(frozen=True, kw_only=True)
class LabelSet(TargetSpec):
    """The labels' names, how many rows of the train part have each, and how many rows there are."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    rows: int

    def check(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise ValueError("it has no labels, or one twice")
        if len(self.counts) != len(self.labels) or not all(0 <= count <= self.rows for count in self.counts):
            raise ValueError("counts need a number of rows for each label")


class ListCollector(Collector):
    """A column of lists: names, or numbers among the source's own `names`. An empty list is a row without labels."""

    def __init__(self, place: str, names: Sequence[str] | None) -> None:
        self._place, self._names = place, names
        self._rows: list[Sequence[Any] | None] = []

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        (values,) = columns
        for value in values:
            one = next((v for v in value if not isinstance(v, str | int)), None) if isinstance(value, list) else value
            if one is not None:
                raise UserError(
                    f"{self._place}: holds {type(one).__name__} values; choose a column of lists of labels, or "
                    "several columns of 0 and 1"
                )
        good = [True] * len(values) if usable is None else usable
        self._rows += [v if g else None for v, g in zip(values, good, strict=True)]

    def finish(self) -> Stored:
        if self._names is None:
            known = sorted({v for row in self._rows for v in row or ()}, key=lambda v: (isinstance(v, str), v))
        else:
            known = list(range(len(self._names)))
        place = {value: i for i, value in enumerate(known)}
        values = np.zeros((len(self._rows), len(known)), np.uint8)
        for row, labels in enumerate(self._rows):
            if labels is None:
                values[row] = UNKNOWN
            for label in labels or ():
                if label not in place:
                    raise UserError(f"{self._place}: row {row} has label {label}, outside 0 to {len(known) - 1}")
                values[row, place[label]] = 1
        return Stored(values, {"labels": [str(v) for v in self._names or known]})


class FlagCollector(Collector):
    """A column of 0 and 1, or false and true, for each label."""

    def __init__(self, columns: Sequence[str], option: str) -> None:
        self._columns, self._option = columns, option
        self._chunks: list[NDArray[np.uint8]] = []

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        found = np.full((len(columns[0]), len(columns)), UNKNOWN, np.uint8)
        for i, (name, column) in enumerate(zip(self._columns, columns, strict=True)):
            for row, value in enumerate(column):
                if value is not None and value not in (0, 1):
                    raise UserError(f"{self._option}: {name} holds {value}; a column for each label holds 0 and 1 only")
                found[row, i] = UNKNOWN if value is None else int(value)
        if usable is not None:
            found[~np.asarray(usable, bool)] = UNKNOWN
        self._chunks.append(found)

    def finish(self) -> Stored:
        values = np.concatenate(self._chunks) if self._chunks else np.zeros((0, len(self._columns)), np.uint8)
        return Stored(values, {"labels": list(self._columns)})


class LabelsTarget(Target[LabelSet]):
    """A row's labels, as 0 and 1 for each."""

    kind = "labels-1"

    def collector(self, names: Sequence[list[str] | None]) -> Collector:
        if len(self.columns) == 1:
            return ListCollector(self.place, names[0])
        return FlagCollector(self.columns, self.option)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        good: NDArray[np.bool_] = (stored.values != UNKNOWN).all(1)
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        return "has no labels (null); an empty list stands for none"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> LabelSet:
        counts = (stored.values[rows] == 1).sum(0)
        return LabelSet(labels=tuple(stored.about["labels"]), counts=tuple(counts.tolist()), rows=len(rows))

    def extended(self, earlier: LabelSet, spec: LabelSet) -> LabelSet:
        labels = tuple(dict.fromkeys((*earlier.labels, *spec.labels)))
        counts = dict(zip(spec.labels, spec.counts, strict=True))
        return LabelSet(labels=labels, counts=tuple(counts.get(name, 0) for name in labels), rows=spec.rows)

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: LabelSet, place: str) -> NDArray[Any]:
        own = stored.about["labels"]
        if own == list(spec.labels):
            return stored.values[rows]
        if not set(own) <= set(spec.labels):
            raise UserError(
                f"{place}: its labels are {shown(own)}, the model's are {shown(spec.labels)}; use data of these labels"
            )
        values = np.zeros((len(rows), len(spec.labels)), np.uint8)
        values[:, [spec.labels.index(name) for name in own]] = stored.values[rows]
        return values

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        return {"labels": torch.from_numpy(values.astype(np.float32))}

    def strata(self, stored: Stored, rows: NDArray[Any]) -> NDArray[Any]:
        """The rarest label that a row has: so no label is left out of a part by chance."""
        values = stored.values[rows] == 1
        if not values.size:  # no rows, or none with a label, which is told where labels are counted
            return np.zeros(len(values), np.int64)
        counts = values.sum(0)
        rarity = np.where(values, counts, len(values) + 1)
        rarest: NDArray[Any] = np.where(values.any(1), rarity.argmin(1), values.shape[1])
        return rarest

    def counts(self, stored: Stored, rows: NDArray[Any]) -> dict[str, int]:
        return dict(zip(stored.about["labels"], (stored.values[rows] == 1).sum(0).tolist(), strict=True))

    def weights(self, values: NDArray[Any], spec: LabelSet) -> NDArray[np.floating[Any]]:
        """By the rarest label that a row has; a row without any counts as often as the commonest label's."""
        counts = np.maximum((values == 1).sum(0), 1)
        each = np.where(values == 1, 1 / counts, 0.0).max(1)
        return np.maximum(each, 1 / counts.max())

    def check_varied(self, values: NDArray[Any], spec: LabelSet, place: str) -> None:
        if (values == values[:1]).all():
            raise UserError(
                f"{place}: every row has the same labels, from which nothing can be learned; choose another column "
                f"than {self.place}"
            )
