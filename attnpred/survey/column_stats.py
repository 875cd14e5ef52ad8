"""The figures of a column, gathered chunk by chunk: memory stays the same however many rows there are."""

import math
from collections import Counter
from datetime import date
from typing import Any

import numpy as np

from attnpred.data.reservoir import Reservoir

MOST_DISTINCT = 1000  # values that are told apart
SAMPLES, LONGEST = 3, 24  # values shown, and their characters


class ColumnStats:
    def __init__(self) -> None:
        self.rows = self.missing = self.empty = 0
        self.kinds: Counter[str] = Counter()
        self._distinct: set[Any] | None = set()
        self._numbers, self._words = Reservoir(), Reservoir()
        self._samples: list[str] = []

    def add(self, values: list[Any]) -> None:
        for value in values:
            self.rows += 1
            if value is None or (isinstance(value, float) and math.isnan(value)):
                self.missing += 1
                continue
            kind = kind_of(value)
            self.kinds[kind] += 1
            if kind == "number":
                self._numbers.add(float(value))
            elif kind == "text":
                self.empty += not value.strip()
                self._words.add(len(value.split()))
            self._tell_apart(value)
            if len(self._samples) < SAMPLES and (said := shown(value)) not in self._samples:
                self._samples.append(said)

    def _tell_apart(self, value: Any) -> None:
        if self._distinct is None:
            return
        if isinstance(value, str | int | float | date):
            self._distinct.add(value if not isinstance(value, str) else hash(value))
        if len(self._distinct) > MOST_DISTINCT:
            self._distinct = None

    def story(self) -> dict[str, Any]:
        return {
            "kind": " or ".join(kind for kind, _ in self.kinds.most_common()) or "nothing",
            "missing": self.missing,
            "empty": self.empty,
            "distinct": None if self._distinct is None else len(self._distinct),
            "numbers": self._numbers.quantiles(),
            "words": self._words.quantiles(),
            "samples": self._samples,
        }


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "image" if set(value) == {"bytes", "path"} else "mapping"
    if isinstance(value, date):
        return "time"
    return "image" if isinstance(value, np.ndarray) else type(value).__name__


def shown(value: Any) -> str:
    """On one line, cut."""
    if isinstance(value, dict) and set(value) == {"bytes", "path"}:
        value = value["path"] or f"{len(value['bytes'] or b''):,} bytes"
    if isinstance(value, np.ndarray):
        value = " × ".join(map(str, value.shape))
    if isinstance(value, bytes):
        value = f"{len(value):,} bytes"
    text = " ".join(str(value)[: 4 * LONGEST].split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
