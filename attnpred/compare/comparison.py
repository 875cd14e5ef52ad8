"""Groups side by side: what a table, a file or a page shows of them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attnpred.compare import where
from attnpred.compare.groups import Differences, Group, comparable, differences, fold
from attnpred.compare.record import Record, Value, is_number
from attnpred.compare.where import Condition
from attnpred.config import schema
from attnpred.config.schema import suggest
from attnpred.errors import Theirs, UserError
from attnpred.statistics import Difference, Summary, difference, holm, summary

# of a metric that no checkpoint was chosen by
LESS_IS_BETTER = (
    "loss",
    "calibration_error",
    "seconds",
    "attention_seconds",
    "peak_memory_gib",
    "parameters",
    "sufficiency",
    "deletion",
)
SHARES_OF_ATTENTION = tuple(
    name + chance for name in ("pointing", "precision_recall", "overlap") for chance in ("", "_random")
)


@dataclass(frozen=True)
class Row:
    group: Group
    results: dict[str, Summary | None]  # by metric
    against: int | None = None  # number of the row that it was tested against, its own where it is the first
    difference: Difference | None = None  # from that row, in the first metric


@dataclass(frozen=True)
class Comparison:
    rows: list[Row]
    options: Differences
    metrics: list[str]
    less_is_better: bool  # of the first metric
    left_out: Counter[str]
    notes: list[str]

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def repeats(self) -> str:
        """How the runs of a group differ: by seed, or by fold of cross-validation."""
        return "folds" if any(row.group.folds for row in self.rows) else "seeds"


def compare(
    records: Sequence[Record],
    *,
    conditions: Sequence[Condition] = (),
    metrics: Sequence[str] = (),
    sort: str | None = None,
    reverse: bool = False,
    against: Condition | None = None,
) -> Comparison:
    """Conditions on options choose runs; those on results choose groups, by their mean, so that no bad seed is lost."""
    where.check([c.name for c in conditions], records)
    kept, left = comparable(records)
    measured = {name for one in kept for name in one.results}
    of_runs = [c for c in conditions if c.name not in measured]
    chosen = where.chosen(kept, of_runs)
    left["that --where leaves out"] += len(kept) - len(chosen)
    groups, repeated = fold(chosen)
    left["whose seed and fold a newer run of the same config repeats"] += repeated
    means = [c for c in conditions if c.name in measured]
    good = [group for group in groups if all(c.holds(_mean(group, c.name)) for c in means)]
    left["that --where leaves out"] += sum(len(g.runs) for g in groups) - sum(len(g.runs) for g in good)
    if not good:
        raise UserError(f"nothing to compare: no finished run{_told(left)}; name other directories or conditions")
    names = list(dict.fromkeys(metrics)) or _usual(good)
    if sort is not None:
        where.check([sort], chosen, "--sort")
    known = {name for group in good for name in group.metrics}
    for name in names:
        if name not in known:
            raise UserError(f"--metric {name}: no run measured it{suggest(name, sorted(known))}; one of {_few(known)}")
    less = less_is_better(names[0], (group.config for group in good))
    ordered = _sorted(good, sort or names[0], less if sort in (None, names[0]) else None, reverse)
    share = {name: _is_share(name, (group.config for group in good)) for name in names}
    rows = [
        Row(group, {name: summary(list(group.values(name).values()), share=share[name]) for name in names})
        for group in ordered
    ]
    return Comparison(_tested(rows, against, names[0]), differences(ordered), names, less, +left, _notes(ordered))


def _mean(group: Group, metric: str) -> float | None:
    found = summary(list(group.values(metric).values()))
    return found.mean if found else None


def _usual(groups: Sequence[Group]) -> list[str]:
    """What most runs chose their checkpoint by, and the same on the test split."""
    counted = Counter(str(group.config.get("checkpoint.monitor")) for group in groups)
    for name, _ in counted.most_common():
        pair = [name, f"test/{name.partition('/')[2]}"]
        found = [one for one in pair if any(one in group.metrics for group in groups)]
        if found:
            return found
    return [sorted({name for group in groups for name in group.metrics})[0]]


def less_is_better(metric: str, configs: Iterable[Mapping[str, Value]]) -> bool:
    """As the runs say where they chose their checkpoint by it, else as their task does."""
    last = metric.rpartition("/")[2]
    for config in configs:
        if str(config.get("checkpoint.monitor")).rpartition("/")[2] == last:
            return config.get("checkpoint.mode") == "min"
        if (better := _of_task(config.get("task._target_"), last)) is not None:
            return better == "min"
    return last in LESS_IS_BETTER


def _is_share(metric: str, configs: Iterable[Mapping[str, Value]]) -> bool:
    """Whether it lies within 0 and 1, by the tasks or, of attention, by its name."""
    last = metric.rpartition("/")[2]
    tasks = {config.get("task._target_") for config in configs}
    return last in SHARES_OF_ATTENTION or any(last in getattr(_options(target), "shares", ()) for target in tasks)


def _of_task(target: Value, metric: str) -> str | None:
    """The direction in which a task's metric is better; None where the task or the metric is not known."""
    known: dict[str, str] = getattr(_options(target), "metrics", {})
    return known.get(metric)


def _options(target: Value) -> Any:
    """The options' class of a task; None where it is not known here."""
    try:
        return schema.options_of(target, "task._target_")
    except (UserError, Theirs):
        return None


def _sorted(groups: Sequence[Group], by: str, less: bool | None, reverse: bool) -> list[Group]:
    """Options rise; results begin with the best; what has none comes last either way."""
    measured = any(by in group.metrics for group in groups)

    def value(group: Group) -> Value:
        return _mean(group, by) if measured else group.config.get(by)

    falls = measured and not (less_is_better(by, (group.config for group in groups)) if less is None else less)
    having = [group for group in groups if _orderly(value(group)) is not None]
    having.sort(key=lambda group: _orderly(value(group)) or (), reverse=falls != reverse)
    return having + [group for group in groups if _orderly(value(group)) is None]


def _orderly(value: Value) -> tuple[int, float, str] | None:
    """Numbers by size, then texts."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return (0, float(value), "") if is_number(value) else (1, 0.0, str(value))


def _tested(rows: list[Row], against: Condition | None, metric: str) -> list[Row]:
    """Each against the first row, or the first of which the condition holds, among those of the same data."""
    if against is not None:
        where.check([against.name], [run for row in rows for run in row.group.runs], "--against")
    bases: dict[Value, int] = {}
    for number, row in enumerate(rows):
        if against is None or against.holds(row.group.config.get(against.name, _mean(row.group, against.name))):
            bases.setdefault(row.group.config.get("data"), number)
    if not bases:
        raise UserError(f"--against {against.text if against else ''}: holds of no group; name one in the table")
    values = [row.group.values(metric) for row in rows]
    of = [bases.get(row.group.config.get("data")) for row in rows]
    found = [None if base in (None, i) else difference(values[i], values[base]) for i, base in enumerate(of)]
    corrected = holm([one.p if one else None for one in found])
    return [
        replace(row, against=base, difference=one and replace(one, p=p))
        for row, base, one, p in zip(rows, of, found, corrected, strict=True)
    ]


def _notes(groups: Sequence[Group]) -> list[str]:
    """What a person should know before believing the table."""
    notes = []
    mixed = sum(len(group.versions()) > 1 for group in groups)
    if mixed:
        notes.append(f"groups whose runs were trained by different versions of the code: {mixed}")
    unlike = {str(group.config.get("data")) for group in groups}
    if len(unlike) > 1:
        notes.append(f"results on different data are not of one kind ({', '.join(sorted(unlike))}): --where data=NAME")
    return notes


def _told(left: Counter[str]) -> str:
    said = ", ".join(f"{count} {reason}" for reason, count in (+left).items())
    return f" (left out: {said})" if said else ""


def _few(names: set[str]) -> str:
    return ", ".join(sorted(names)[:12]) + (" …" if len(names) > 12 else "")
