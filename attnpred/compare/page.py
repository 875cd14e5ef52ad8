"""A comparison as a page: its table, learning curves, and how options lead to results."""

import math
from typing import Any

from attnpred.compare.comparison import Comparison, Row
from attnpred.compare.curves import curves
from attnpred.compare.groups import Group
from attnpred.compare.record import held, known
from attnpred.compare.status import shown
from attnpred.compare.table import differs, legend
from attnpred.pages.page import fill
from attnpred.statistics import Summary

STYLES = ("colours.css", "page.css", "pieces.css", "compare.css")
SCRIPTS = ("dom.js", "take.js", "groups.js", "table.js", "curves.js", "parallel.js", "compare.js")
MOST_CURVES = 200  # groups, in the order of the table


def render(found: Comparison) -> str:
    title = _heading(found)
    return fill("attnpred.compare", "compare.html", f"{title} compared", STYLES, SCRIPTS, _story(found, title))


def _heading(found: Comparison) -> str:
    """Model and data, where there is one, and the result: `bert on sst2: val/accuracy 0.912, the best of 12 groups`."""
    what = [_only(found, "model"), _only(found, "data")]
    means = [one.mean for row in found.rows if (one := row.results[found.metric]) and math.isfinite(one.mean)]
    best = f" {(min if found.less_is_better else max)(means):.4g}" if means else ""
    count = f"{len(found.rows):,} group{'s' * (len(found.rows) != 1)}"
    return f"{' on '.join(filter(None, what)) or 'Runs'}: {found.metric}{best}, the best of {count}"


def _only(found: Comparison, option: str) -> str | None:
    values = {str(row.group.config.get(option)) for row in found.rows}
    return values.pop() if len(values) == 1 else None


def _story(found: Comparison, title: str) -> dict[str, Any]:
    several = len({row.against for row in found.rows if row.difference}) > 1
    return {
        "title": title,
        "metrics": found.metrics,
        "repeats": found.repeats,
        "lessIsBetter": found.less_is_better,
        "options": list(found.options.shown),
        "others": [*found.options.implied, *found.options.partial],
        "against": next((row.against for row in found.rows if row.difference), None),
        "legend": legend(found),
        "notes": found.notes,
        "leftOut": [f"{count:,} {reason}" for reason, count in found.left_out.items()],
        "curvesOf": min(len(found.rows), MOST_CURVES),
        "groups": [
            _group(row, found, named=several, drawn=number < MOST_CURVES) for number, row in enumerate(found.rows)
        ],
    }


def _group(row: Row, found: Comparison, *, named: bool, drawn: bool) -> dict[str, Any]:
    config = row.group.config
    return {
        "options": {name: held(config[name]) for name in found.options.all if name in config},
        "seeds": [held(seed) for seed in row.group.seeds],
        "runs": [shown(run.path) for run in row.group.runs],
        "results": {name: _result(row.results[name]) for name in found.metrics},
        "difference": differs(row, named=named),
        "curves": _curves(row.group) if drawn else {},
    }


def _result(one: Summary | None) -> list[float | None] | None:
    if one is None:
        return None
    return [_rounded(value) for value in (one.mean, one.deviation, one.low, one.high)]


def _curves(group: Group) -> dict[str, list[list[float | None]]]:
    return {name: [[_rounded(part) for part in point] for point in curve] for name, curve in curves(group).items()}


def _rounded(value: float | None) -> float | None:
    finite = known(value)
    return None if finite is None else float(f"{finite:.6g}")
