"""One class a row: a label column becomes class numbers, and one dataset's numbers become another's."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.console.say import say
from attnpred.contracts import TargetSpec, later
from attnpred.data.targets import Collector, Stored, Target
from attnpred.errors import UserError

MISSING = -1
NO_LABEL = (None, "", MISSING)


@dataclass(frozen=True, kw_only=True)
class Classes(TargetSpec):
    """The labels' names, and how many rows of the train part have each."""

    classes: tuple[str, ...]
    counts: tuple[int, ...] = later(())  # none in runs of earlier versions

    def check(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError("it has no classes, or one twice")
        if self.counts and len(self.counts) != len(self.classes):
            raise ValueError("counts need a number of rows for each class")


class ClassCollector(Collector):
    """`names` are the source's own class names, its labels being their numbers; without them the values are the names.

    A missing label is None, -1 or an empty text, and is kept as -1.
    """

    def __init__(self, place: str, names: Sequence[str] | None) -> None:
        self._place, self._names = place, names
        self._seen: dict[Any, int] = {}
        self._numbers = array("i")

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        (values,) = columns
        if usable is not None:
            values = [value if good else None for value, good in zip(values, usable, strict=True)]
        if self._names is not None:
            self._numbers.extend(MISSING if v is None else v for v in values)
            return
        if not set(map(type, values)) <= {str, int, bool, NoneType}:
            self._require_names(values)
        for value in dict.fromkeys(values):  # in the order in which they come
            if value not in NO_LABEL:
                self._seen.setdefault(value, len(self._seen))
        self._numbers.extend([self._seen.get(value, MISSING) for value in values])

    def _require_names(self, values: list[Any]) -> None:
        for value in values:
            if not isinstance(value, str | int | None) and value != MISSING:
                raise UserError(
                    f"{self._place}: holds {type(value).__name__} values; choose a column of classes, or "
                    "task=regression for numbers"
                )

    def finish(self) -> Stored:
        numbers = np.frombuffer(self._numbers, np.int32) if len(self._numbers) else np.zeros(0, np.int32)
        if self._names is not None:
            return Stored(numbers, {"classes": list(self._names)})
        in_order = sorted(self._seen, key=lambda value: (isinstance(value, str), value))
        place = np.full(len(in_order) + 1, MISSING, np.int32)  # the last entry is what -1 finds
        for number, value in enumerate(in_order):
            place[self._seen[value]] = number
        return Stored(place[numbers], {"classes": [str(v) for v in in_order]})


class ClassTarget(Target[Classes]):
    """A label column."""

    kind = "class-1"

    def collector(self, names: Sequence[list[str] | None]) -> ClassCollector:
        if len(self.columns) != 1:
            raise UserError(f"{self.place}: one label is in one column; name one, or use task=multilabel")
        return ClassCollector(self.place, names[0])

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        good: NDArray[np.bool_] = (stored.values >= 0) & (stored.values < len(stored.about["classes"]))
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        value = int(stored.values[row])
        if value == MISSING:
            return "has no label (-1)"
        return f"has label {value}, outside 0 to {len(stored.about['classes']) - 1}"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> Classes:
        classes = stored.about["classes"]
        counts = np.bincount(stored.values[rows], minlength=len(classes))
        return Classes(classes=tuple(classes), counts=tuple(counts.tolist()))

    def extended(self, earlier: Classes, spec: Classes) -> Classes:
        classes = tuple(dict.fromkeys((*earlier.classes, *spec.classes)))
        counts = dict(zip(spec.classes, spec.counts, strict=True))
        return Classes(classes=classes, counts=tuple(counts.get(name, 0) for name in classes))

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: Classes, place: str) -> NDArray[Any]:
        return translate(stored.values[rows], stored.about["classes"], spec.classes, place)

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        return {"label": torch.from_numpy(values.astype(np.int64))}

    def strata(self, stored: Stored, rows: NDArray[Any]) -> NDArray[Any]:
        return stored.values[rows]

    def shown(self, stored: Stored, row: int) -> str:
        return str(stored.about["classes"][int(stored.values[row])])

    def counts(self, stored: Stored, rows: NDArray[Any]) -> dict[str, int]:
        names = stored.about["classes"]
        return dict(zip(names, np.bincount(stored.values[rows], minlength=len(names)).tolist(), strict=True))

    def weights(self, values: NDArray[Any], spec: Classes) -> NDArray[np.floating[Any]]:
        counts = np.bincount(values, minlength=len(spec.classes))
        return 1 / counts[values]

    def check_varied(self, values: NDArray[Any], spec: Classes, place: str) -> None:
        if len(only := np.unique(values)) == 1:
            raise UserError(
                f"{place}: every row has the label {spec.classes[only[0]]}, from which nothing can be learned; give "
                f"rows of other classes, or choose another column than {self.place}"
            )


def translate(numbers: NDArray[np.int32], own: Sequence[str], classes: Sequence[str], place: str) -> NDArray[np.int32]:
    """Numbers among `own` names as numbers among `classes`; `place` is the option and value that named the split."""
    if list(own) == list(classes):
        return numbers
    if set(own) <= set(classes):
        return np.array([list(classes).index(name) for name in own], np.int32)[numbers]
    if len(own) != len(classes):
        raise UserError(
            f"{place}: its classes are {shown(own)}, the model's are {shown(classes)}; use data of the same classes"
        )
    say(f"warning: {place}: classes {shown(own)} are taken, in this order, for the model's {shown(classes)}")
    return numbers


def shown(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
