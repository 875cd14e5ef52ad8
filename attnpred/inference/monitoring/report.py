"""What a comparison found: as plain data, as text, as a page, and for Prometheus."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attnpred.console import tables
from attnpred.errors import UserError
from attnpred.files import write_text
from attnpred.inference.monitoring.drift import LEVEL, Measure
from attnpred.inference.monitoring.reference import Reference, share
from attnpred.pages.page import fill
from attnpred.runs.run import Run

STYLES = ("colours.css", "page.css", "pieces.css", "monitor.css")
SCRIPTS = ("dom.js", "take.js", "monitor.js")
TESTS = {
    "KS": "the largest distance of the two cumulative shares (Kolmogorov-Smirnov)",
    "shares": "half of the sum of the shares' differences (chi-squared)",
    "MMD": "the distance of means in a kernel's space (maximum mean discrepancy, by permutation)",
    "classifier": "how much better than 0.5 a classifier tells new from old (area under the curve)",
    "calibration": "how much the gap between confidence and accuracy has changed (z-test)",
}


def story_of(run: Run, reference: Reference, source: str, rows: int, found: Sequence[Measure]) -> dict[str, Any]:
    return {
        "run": run.path.name,
        "source": source,
        "rows": rows,
        "reference": {"split": reference.about["split"], "rows": len(reference.rows)},
        "alarm": any(one.alarm for one in found),
        "level": LEVEL,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "measures": [one.as_dict() for one in found],
        "false_alarms": [
            {**one, "share": list(share(one["alarms"], one["windows"]))} for one in reference.false_alarms
        ],
        "tests": {key: said for key, said in TESTS.items() if any(one.test == key for one in found)},
    }


def text_of(story: dict[str, Any]) -> str:
    heads = ("measure", "before", "now", "effect", "bound", "p", "")
    lines = [
        (
            one["name"],
            _number(one["before"]),
            _number(one["now"]),
            f"{one['effect']:.3f}",
            f"{one['bound']:.3f}",
            f"{one['corrected']:.1g}",
            "ALARM" if one["alarm"] else "",
        )
        for one in story["measures"]
    ]
    alarms = sum(one["alarm"] for one in story["measures"])
    said = f"{alarms} of {len(lines)} measures give alarm" if alarms else f"no alarm by {len(lines)} measures"
    known = story["reference"]
    head = (
        f"{story['rows']:,} rows of {story['source']} against {known['rows']:,} of the {known['split']} split: {said}"
    )
    return "\n".join([head, "", tables.align([heads, *lines]), *_false(story)])


def _false(story: dict[str, Any]) -> list[str]:
    found = []
    for one in story["false_alarms"]:
        rate, low, high = one["share"]
        found.append(
            f"false alarms: {rate:.1%} ({low:.1%} to {high:.1%}) of {one['windows']} windows of {one['rows']} rows of "
            "the run's own test split"
        )
    return ["", *found] if found else []


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def render(story: dict[str, Any]) -> str:
    return fill("attnpred.inference.monitoring", "monitor.html", f"Drift of {story['run']}", STYLES, SCRIPTS, story)


def write_prometheus(file: Path, story: dict[str, Any]) -> None:
    """Gauges, for the text files that a node exporter collects."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    effect = Gauge("attnpred_drift", "How far a measure is from the reference.", ["run", "measure"], registry=registry)
    alarm = Gauge("attnpred_drift_alarm", "1 where any measure gives alarm.", ["run"], registry=registry)
    rows = Gauge("attnpred_drift_rows", "Rows that were compared.", ["run"], registry=registry)
    for one in story["measures"]:
        effect.labels(story["run"], one["name"]).set(one["effect"])
    alarm.labels(story["run"]).set(float(story["alarm"]))
    rows.labels(story["run"]).set(story["rows"])
    try:
        write_text(file, generate_latest(registry).decode())
    except OSError as error:
        raise UserError(f"--prometheus {file}: cannot be written ({error.strerror}); name another file") from None
