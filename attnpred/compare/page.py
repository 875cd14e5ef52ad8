"""A comparison as a page: its table, learning curves, and how options lead to results."""

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
    title = f"{found.metric}: {len(found.rows):,} group{'s' * (len(found.rows) != 1)} of runs"
    return fill("attnpred.compare", "compare.html", f"{title} compared", STYLES, SCRIPTS, _story(found, title))


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
