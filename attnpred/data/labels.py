"""A label column becomes class numbers, and one dataset's numbers become another's."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.console.say import say
from attnpred.errors import BadRow, UserError

MISSING = -1
Labels = NDArray[np.int32]


class LabelColumn:
    """Collects a label column chunk by chunk.

    `names` are the source's own class names, its labels being their numbers; without them the values themselves are the
    names. A missing label is None or -1, and is kept as -1.
    """

    def __init__(self, column: str, names: Sequence[str] | None) -> None:
        self._column, self._names = column, names
        self._seen: dict[Any, int] = {}
        self._numbers = array("i")

    def add(self, values: list[Any]) -> None:
        if self._names is not None:
            self._numbers.extend(MISSING if v is None else v for v in values)
            return
        for value in values:
            if value is None or (value == MISSING and not isinstance(value, str)):
                self._numbers.append(MISSING)
            elif isinstance(value, str | int):
                self._numbers.append(self._seen.setdefault(value, len(self._seen)))
            else:
                kind = type(value).__name__
                raise UserError(f"data.label_column={self._column}: holds {kind} values; choose a column of classes")

    def finish(self) -> tuple[Labels, list[str]]:
        """The numbers, and the names they stand for; a row without label has -1."""
        numbers = np.frombuffer(self._numbers, np.int32)
        if self._names is not None:
            return numbers, list(self._names)
        in_order = sorted(self._seen)
        place = np.full(len(in_order) + 1, MISSING, np.int32)  # the last entry is what -1 finds
        for number, value in enumerate(in_order):
            place[self._seen[value]] = number
        return place[numbers], [str(v) for v in in_order]


def translate(numbers: Labels, own: Sequence[str], classes: Sequence[str], place: str) -> Labels:
    """Numbers among `own` names as numbers among `classes`; `place` is the option and value that named the split."""
    wrong = np.flatnonzero((numbers < 0) | (numbers >= len(own)))
    if len(wrong):
        row, value = int(wrong[0]), int(numbers[wrong[0]])
        problem = "has no label (-1)" if value == MISSING else f"has label {value}, outside 0 to {len(own) - 1}"
        raise BadRow(f"{place}: row {row} {problem}; choose a split whose every row has a label", row)
    if list(own) == list(classes):
        return numbers
    if set(own) <= set(classes):
        return np.array([list(classes).index(name) for name in own], np.int32)[numbers]
    if len(own) != len(classes):
        raise UserError(
            f"{place}: its classes are {_shown(own)}, the model's are {_shown(classes)}; use data of the same classes"
        )
    say(f"warning: {place}: classes {_shown(own)} are taken, in this order, for the model's {_shown(classes)}")
    return numbers


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
