"""What benchmarks measured: kept as JSON, compared with the last time, and shown as a table."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from attnpred.files import write_json


@dataclass(frozen=True)
class Row:
    """One piece of work on both sides, a value a pair; `target` bounds the median of what compares them."""

    benchmark: str
    work: str
    against: str
    unit: str
    difference: bool  # compared by ours - peer, of which less is better, instead of ours / peer, of which more is
    target: float | None
    ours: list[float]
    peer: list[float]
    machine: str
    date: str

    @property
    def kind(self) -> str:
        """Of machine: without the version of torch, which changes."""
        return self.machine.partition(", torch ")[0]

    @property
    def subject(self) -> tuple[str, str, str]:
        return self.benchmark, self.work, self.against

    @property
    def key(self) -> tuple[str, str, str, str]:
        return *self.subject, self.kind

    @property
    def values(self) -> list[float]:
        pairs = zip(self.ours, self.peer, strict=True)
        return [a - b if self.difference else a / b for a, b in pairs]

    def fell_from(self, last: "Row") -> bool:
        """Whether it is worse by more than the noise: either median lies outside the other's range."""
        sign = -1 if self.difference else 1
        new, old = [sign * v for v in self.values], [sign * v for v in last.values]
        return statistics.median(new) < min(old) and statistics.median(old) > max(new)


def load(path: Path) -> list[Row]:
    """The rows that are kept there; none where nothing is."""
    if not path.is_file():
        return []
    names = {f.name for f in fields(Row)}
    content = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [Row(**{name: value for name, value in row.items() if name in names}) for row in content]


def save(path: Path, rows: Iterable[Row]) -> None:
    write_json(path, as_json(rows))


def as_json(rows: Iterable[Row]) -> dict[str, Any]:
    """Plain data; beside what a row holds, what follows from it, for whoever reads the file."""
    described = []
    for row in rows:
        values = row.values
        summary = {"median": statistics.median(values), "range": [min(values), max(values)]}
        described.append({**asdict(row), "pairs": len(values), **summary})
    return {"rows": described}


def merged(stored: list[Row], new: list[Row], order: list[str]) -> list[Row]:
    """The new rows in place of what their benchmarks had on that kind of machine, by benchmark in the given order."""
    measured = {(row.benchmark, row.kind) for row in new}
    rows = [*new, *(row for row in stored if (row.benchmark, row.kind) not in measured)]
    return sorted((row for row in rows if row.benchmark in order), key=lambda row: order.index(row.benchmark))


def falls(stored: list[Row], new: list[Row]) -> list[str]:
    """A line for everything that is worse than it was on that kind of machine, by more than the noise."""
    last = {row.key: row for row in stored}
    lines = []
    for row in new:
        old = last.get(row.key)
        if old is not None and row.fell_from(old):
            where = "" if old.machine == row.machine else f" (that was with {old.machine})"
            name = f"{row.benchmark}: {row.work}, against {row.against}"
            lines.append(f"{name}: {shown(row)}, was {shown(old)} on {old.date}{where}")
    return lines


def table(rows: list[Row]) -> str:
    """Markdown, a column each kind of machine; under it, what was measured when, and how often."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    by_subject: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        by_subject.setdefault(row.subject, {})[row.kind] = row
    head = f"| work | against | target | {' | '.join(kinds)} |\n|" + (3 + len(kinds)) * "---|"
    origins: dict[tuple[int, str, str], list[str]] = {}
    for row in rows:
        names = origins.setdefault((len(row.values), row.machine, row.date), [])
        if row.benchmark not in names:
            names.append(row.benchmark)
    notes = [
        f"{', '.join(f'`{name}`' for name in names)}: {pairs} pairs on {machine}, {date}."
        for (pairs, machine, date), names in origins.items()
    ]
    return "\n".join([head, *(line(found, kinds) for found in by_subject.values()), "", *notes])


def line(found: dict[str, Row], kinds: list[str]) -> str:
    """A row of the table: on each kind of machine the ratio or difference, and our own side's median."""
    row = next(iter(found.values()))
    bound = "at most" if row.difference else "at least"
    unit = f" {row.unit}" if row.difference else ""
    target = "" if row.target is None else f"{bound} {row.target:g}{unit}"
    cells = [
        f"{shown(found[kind])}; {number(statistics.median(found[kind].ours))} {row.unit}" if kind in found else ""
        for kind in kinds
    ]
    return f"| {row.work} | {row.against} | {target} | {' | '.join(cells)} |"


def shown(row: Row) -> str:
    """Median and range of what compares the two sides."""
    sign, unit = ("+", f" {row.unit}") if row.difference else ("", "")
    low, middle, high = (number(v, sign) for v in (min(row.values), statistics.median(row.values), max(row.values)))
    return f"{middle}{unit} ({low} to {high})"


def number(value: float, sign: str = "") -> str:
    """Three digits, or all before the point."""
    return f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}"
