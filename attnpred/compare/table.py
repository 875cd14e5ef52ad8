"""A comparison as a table for people, as Markdown, as CSV and as JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from attnpred.compare.comparison import Comparison, Row
from attnpred.compare.record import Value, held, known
from attnpred.config.schema import show
from attnpred.console import tables
from attnpred.statistics import FEW, LEVEL, PAIRED, WELCH, Summary

NONE = "–"
MINUS = "−"


def text(found: Comparison) -> str:
    return "\n".join([tables.align(_rows(found)), "", *legend(found)])


def markdown(found: Comparison) -> str:
    head, *rows = [f"| {' | '.join(map(_escaped, row))} |" for row in _rows(found)]
    return "\n".join([head, "|" + len(_rows(found)[0]) * "---|", *rows, "", *map(_escaped, legend(found))])


def _escaped(cell: str) -> str:
    """As Markdown shows it, whatever it holds."""
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", cell).replace("&", "&amp;").replace("<", "&lt;")


def _rows(found: Comparison) -> list[list[str]]:
    bases = {row.against for row in found.rows if row.difference}
    base = bases.pop() if len(bases) == 1 else None  # the row that all others are tested against, where it is one
    head = ["#", *found.options.shown, found.repeats, *found.metrics]
    rows = []
    for place, row in enumerate(found.rows, 1):
        options = [option(row.group.config.get(name, ...)) for name in found.options.shown]
        results = [spread(row.results[name]) for name in found.metrics]
        rows.append([str(place), *options, str(len(row.group.runs)), *results])
    if any(row.difference for row in found.rows):
        head.append("difference" if base is None else f"difference from #{base + 1}")
        rows = [
            [*cells, ", ".join(differs(row, named=base is None) or [NONE])]
            for cells, row in zip(rows, found.rows, strict=True)
        ]
    return [head, *rows]


def option(value: Any) -> str:
    return NONE if value is ... else tables.printable(show(value))


def spread(one: Summary | None) -> str:
    """`0.8988 ± 0.0196 (0.8501 to 0.9475)`"""
    if one is None:
        return NONE
    if one.deviation is None or one.low is None or one.high is None:
        return number(one.mean)
    return f"{number(one.mean)} ± {number(one.deviation)} ({number(one.low)} to {number(one.high)})"


def differs(row: Row, *, named: bool) -> tuple[str, str] | None:
    """`−0.3593 (−0.4591 to −0.2594)` and `p=0.0041 (paired, n=3)`; `named` says from which row."""
    one = row.difference
    if one is None or row.against is None:
        return None
    kind = f"{'paired' if one.test == PAIRED else 'Welch'}, n={' and '.join(map(str, one.n))}"
    base = (f"from #{row.against + 1}: " if named else "") + signed(one.mean)
    if one.low is None or one.high is None or one.p is None:
        return base, f"no deviation ({kind})"
    return f"{base} ({signed(one.low)} to {signed(one.high)})", f"p={one.p:.2g} ({kind})"


def number(value: float) -> str:
    """Four digits behind the point, or as many as matter."""
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < 1e-3:
        return f"{value:.1e}".replace("-", MINUS)
    return (f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}").replace("-", MINUS)


def signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)


def legend(found: Comparison) -> list[str]:
    """What the numbers are, and what they cannot say."""
    counts = [len(row.group.runs) for row in found.rows]
    if max(counts) < 2:
        return ["One seed each: nothing here tells a difference from chance. Train each with several (seed=0,1,2,3,4)."]
    what = found.repeats
    lines = [f"± is the deviation over {what} (n−1), the range beside it the mean's {100 * LEVEL:.0f} % interval (t)."]
    if what == "folds":
        lines.append("Folds share most of the rows that they train on: the true intervals are wider.")
    tested = [row.difference.test for row in found.rows if row.difference]
    if tested:
        meant = {PAIRED: f"paired t-test over common {what}", WELCH: "Welch's t-test, where fewer than two are common"}
        said = "; ".join(meaning for test, meaning in meant.items() if test in tested)
        several = ", p corrected for how many there are (Holm)" if len(tested) > 1 else ""
        lines.append(f"The difference is that of {found.metric}, with its interval: {said}{several}.")
    if min(counts) < FEW:
        lines.append(f"Fewer than {FEW} {what} say little: only differences much larger than the deviation show.")
    return lines


def records(found: Comparison) -> list[dict[str, Any]]:
    """A plain mapping a row, with every option that differs."""
    return [
        {
            "config": {name: held(row.group.config[name]) for name in found.options.all if name in row.group.config},
            "seeds": list(map(held, row.group.seeds)),
            "runs": [str(run.path) for run in row.group.runs],
            "results": {name: _summary(row, name) for name in found.metrics},
            "difference": _difference(row),
        }
        for row in found.rows
    ]


def _summary(row: Row, name: str) -> dict[str, Any] | None:
    one = row.results[name]
    if one is None:
        return None
    values = row.group.values(name)
    bounds = {"mean": one.mean, "deviation": one.deviation, "low": one.low, "high": one.high}
    return {
        "n": one.n,
        **{key: known(value) for key, value in bounds.items()},
        "values": [known(values.get(seed)) for seed in row.group.seeds],
    }


def _difference(row: Row) -> dict[str, Any] | None:
    one = row.difference
    if one is None:
        return None
    numbers = {"mean": one.mean, "low": one.low, "high": one.high, "p": one.p}
    return {"from": row.against, "test": one.test, "n": list(one.n), **{k: known(v) for k, v in numbers.items()}}


def as_json(found: Comparison) -> str:
    whole = {
        "metric": found.metric,
        "level": LEVEL,
        "groups": records(found),
        "left_out": dict(found.left_out),
        "notes": found.notes,
    }
    return json.dumps(whole, allow_nan=False)  # in ASCII, since a name may hold what no encoding can


def as_csv(found: Comparison) -> str:
    """A line a group; a name is that of the option or, with a word behind it, of the result."""
    words = ("n", "mean", "deviation", "low", "high")
    tested = ("from", "test", "n", "mean", "low", "high", "p")
    head = [*found.options.all, "seeds", *(f"{name} {word}" for name in found.metrics for word in words)]
    stream = io.StringIO()
    write = csv.writer(stream, lineterminator="\n").writerow
    write([*head, *(f"difference {word}" for word in tested), "runs"])
    for one in records(found):
        results = [(one["results"][name] or {}).get(word) for name in found.metrics for word in words]
        difference = [_flat((one["difference"] or {}).get(word)) for word in tested]
        options = [_option(one["config"], name) for name in found.options.all]
        write([*options, _flat(one["seeds"]), *results, *difference, _flat(one["runs"])])
    return stream.getvalue().removesuffix("\n").encode("utf-8", "replace").decode()  # half a character has no code


def _option(config: dict[str, Value], name: str) -> str:
    """Empty where there is no such option, which null is not."""
    return show(config[name]) if name in config else ""


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
