"""What is watched of each input: a few numbers and a label, and a short vector of what the model makes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
LABEL, CONFIDENCE, WRONG = "answer: label", "answer: confidence", "answer: wrong"
MOST_ROWS, MOST_COLUMNS, MOST_WIDTH = 1_000_000, 200, 65_536


@dataclass(frozen=True)
class Rows:
    """A column a measure: numbers, of which NaN are unknown, or labels; and a vector a row, where there are such."""

    numbers: Mapping[str, NDArray[np.float64]]
    labels: Mapping[str, list[str]]
    vectors: Vector | None = None  # (rows, width)
    inputs: list[Any] = field(default_factory=list)  # for whoever asked that they be kept

    def __len__(self) -> int:
        columns: list[Any] = [*self.numbers.values(), *self.labels.values()]
        return len(columns[0]) if columns else 0

    def taken(self, places: NDArray[np.int64]) -> "Rows":
        return Rows(
            {name: values[places] for name, values in self.numbers.items()},
            {name: [values[place] for place in places] for name, values in self.labels.items()},
            None if self.vectors is None else self.vectors[places],
        )

    def with_number(self, name: str, values: Sequence[float]) -> "Rows":
        return Rows({**self.numbers, name: np.asarray(values, np.float64)}, self.labels, self.vectors, self.inputs)

    def as_dicts(self, digits: int = 5) -> list[dict[str, Any]]:
        """A plain mapping a row, as a log and a file hold it."""
        found: list[dict[str, Any]] = []
        for row in range(len(self)):
            numbers = {name: _short(values[row], digits) for name, values in self.numbers.items()}
            one: dict[str, Any] = {**numbers, **{name: values[row] for name, values in self.labels.items()}}
            if self.vectors is not None:
                one["vector"] = [_short(value, digits) for value in self.vectors[row].tolist()]
            found.append(one)
        return found


def together(parts: Sequence[Rows]) -> Rows:
    """All rows. Of columns that not every part has, none is kept."""
    if not parts:
        return Rows({}, {})
    numbers = [name for name in parts[0].numbers if all(name in one.numbers for one in parts)]
    labels = [name for name in parts[0].labels if all(name in one.labels for one in parts)]
    widths = {None if one.vectors is None else one.vectors.shape[1] for one in parts}
    vectors = [one.vectors for one in parts if one.vectors is not None]
    return Rows(
        {name: np.concatenate([one.numbers[name] for one in parts]) for name in numbers},
        {name: [value for one in parts for value in one.labels[name]] for name in labels},
        np.concatenate(vectors) if len(widths) == 1 and vectors else None,
        [value for one in parts for value in one.inputs],
    )


def from_dicts(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """What `as_dicts` gave, which may come from a stranger: ValueError where it is something else."""
    given = list(rows)
    if not given:
        return Rows({}, {})
    if len(given) > MOST_ROWS or not all(isinstance(one, Mapping) for one in given):
        raise ValueError("holds no rows, or too many")
    names = [name for name in given[0] if name != "vector" and all(name in one for one in given)]
    if len(names) > MOST_COLUMNS:
        raise ValueError("holds too many columns")
    numbers, labels = {}, {}
    for name in names:
        values = [one[name] for one in given]
        if all(isinstance(value, str) for value in values):
            labels[name] = values
        elif all(value is None or isinstance(value, int | float) for value in values):
            numbers[name] = np.array([np.nan if value is None else value for value in values], np.float64)
        else:
            raise ValueError(f"{name} holds neither numbers nor texts")
    return Rows(numbers, labels, _vectors([one.get("vector") for one in given]))


def _vectors(given: list[Any]) -> Vector | None:
    if any(one is None for one in given):
        return None
    try:
        found = np.asarray(given, np.float32)
    except (TypeError, ValueError):
        raise ValueError("its vectors are of different lengths, or no numbers") from None
    if found.ndim != 2 or found.shape[1] > MOST_WIDTH or not np.isfinite(found).all():
        raise ValueError("its vectors are no finite numbers")
    return found


def _short(value: float, digits: int) -> float | None:
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None
