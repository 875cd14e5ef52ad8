"""What the points of a curve measured: kept as JSON, and fitted."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attnpred.files import write_json
from scripts.bench.results import number

At = dict[str, Any]  # where on the curve a point lies, and what is the same at all of them


@dataclass(frozen=True)
class Point:
    at: At
    measured: list[dict[str, float]]  # a repeat each

    def values(self, name: str) -> list[float]:
        return [values[name] for values in self.measured]

    def value(self, name: str) -> float:
        return statistics.median(self.values(name))

    def shown(self, name: str, scale: float = 1.0) -> str:
        """The median times `scale`, with the range where there were repeats."""
        values = [scale * value for value in self.values(name)]
        median = number(statistics.median(values))
        return median if len(values) == 1 else f"{median} ({number(min(values))} to {number(max(values))})"


@dataclass(frozen=True)
class Curve:
    machine: str
    date: str
    points: list[Point]
    note: str = ""  # what else is to be known of the machine then

    @property
    def repeats(self) -> int:
        return min(len(point.measured) for point in self.points)

    def lines(self, key: str) -> dict[Any, list[Point]]:
        """The points by their value of `key`; one line of all points where they have none."""
        found: dict[Any, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.at.get(key), []).append(point)
        return found

    def held(self) -> At:
        """What is the same at all points."""
        first, *others = (point.at for point in self.points)
        return {key: value for key, value in first.items() if all(at.get(key) == value for at in others)}


def load(path: Path) -> dict[str, Curve]:
    """The curves that are kept there; none where nothing is."""
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))["curves"]
    return {
        name: Curve(
            curve["machine"], curve["date"], [Point(**point) for point in curve["points"]], curve.get("note", "")
        )
        for name, curve in stored.items()
    }


def save(path: Path, curves: Mapping[str, Curve]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"curves": {name: asdict(curve) for name, curve in curves.items()}})


def upper(points: Sequence[Point]) -> list[Point]:
    """The half in which what costs the same at any size counts least."""
    return list(points[len(points) // 2 :] if len(points) > 2 else points)


def exponent(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The e of y = c * x^e that fits best, errors being ratios; None where nothing can be fitted."""
    if len(set(xs)) < 2 or min(*xs, *ys) <= 0:
        return None
    return statistics.linear_regression([math.log(x) for x in xs], [math.log(y) for y in ys]).slope
