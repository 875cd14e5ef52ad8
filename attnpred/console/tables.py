"""Results as a person reads them: plain aligned text for stderr, and the per-class numbers behind it.

The tables read the content of a run's `metrics.json`. Every key may be missing; what is missing is not shown.

    {"val":  {"best": {METRICS, "step": 1250, "epoch": 3},   the checkpoint that was kept; epochs count from 1
              "final": {METRICS, "step": 2500, "epoch": 6}}, the last validation
     "test": {METRICS, "examples": 10000, "confusion": [[..]],   rows are true classes, columns predicted ones
              "classes": [{"name": "cat", "precision": .., "recall": .., "f1": .., "support": 1000}, ..]},
     "attention": {"removal": "mask", "examples": 64,              of the weights kept, on a sample of val
              "scores": {"attention": {"comprehensiveness": [mean, low, high], ..}, "random": ..}},
     "parameters": 22700000, "epochs": 6, "steps": 2500, "seconds": 245.0,
     "examples_per_second": 1234.0, "tokens_per_second": 316000.0 or null, "peak_memory_gib": 3.2}

METRICS are numbers by name: accuracy, f1 (mean over classes), loss, calibration_error, and what else a task measures.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attnpred.console import secrets

LONGEST_NAME = 32
LONGEST_LINE = 100  # of an input
METRICS = ("accuracy", "f1", "loss", "calibration_error")
COUNTS = ("examples", "epoch", "step")
# whether more or less of a measure of explanations is better
HIGHER = (
    *("comprehensiveness", "insertion", "racu", "racu_second", "f_fidelity", "rank_correlation", "agreement"),
    *("pointing", "pointing_game", "precision_recall", "overlap"),
)
DIRECTIONS = {**dict.fromkeys(HIGHER, " ↑"), **dict.fromkeys(("sufficiency", "deletion"), " ↓")}


SIGNIFICANT = 0.05  # p-values below it, after correction for how many were tested
BETTER = "better than random"

Tables = Callable[[dict[str, Any], str], list[str]]  # what a task says of a split's details, named by the split


def final_table(result: Mapping[str, Any], of_task: Tables) -> str:
    """What a run reached and what it cost."""
    val, test = result.get("val") or {}, result.get("test") or {}
    columns = {"val best": val.get("best"), "val final": val.get("final"), "test": test}
    sections = [_metrics({head: column for head, column in columns.items() if column})]
    trusted = faithfulness_tables(result["attention"]) if result.get("attention") else []
    sections += [*of_task(test, "test"), *trusted, _cost(result)]
    return "\n\n".join(filter(None, sections))


def evaluation_table(metrics: dict[str, Any], split: str, of_task: Tables) -> str:
    """One split's metrics, of the same form as `test` in `metrics.json`."""
    sections = [_metrics({split: metrics}), *of_task(metrics, split)]
    return "\n\n".join(filter(None, sections))


def faithfulness_tables(found: Mapping[str, Any]) -> list[str]:
    """A table for each of several answers, under its name; else one."""
    if "answers" in found:
        each = found["answers"].items()
        return [f"{printable(name)}: {table}" for name, one in each for table in faithfulness_tables(one)]
    inputs = found.get("inputs") or {}
    parts = [
        f"{printable(n)} alone: {faithfulness_table({**found, **one, 'sanity': None})}" for n, one in inputs.items()
    ]
    return [faithfulness_table(found), *([_shares_table(inputs)] if inputs else []), *parts]


def _shares_table(inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """Of each of several inputs what the score loses without it, and its share of every explainer's maps."""
    explainers = list(dict.fromkeys(who for one in inputs.values() for who in one["share"]))
    head = ["input", "score lost without it", *(f"share of {who}" for who in explainers)]
    rows = [
        [printable(name), _interval(one["fall"]), *(_interval(one["share"].get(who)) for who in explainers)]
        for name, one in inputs.items()
    ]
    return align([head, *rows])


def faithfulness_table(found: Mapping[str, Any]) -> str:
    """How true explanations are: a column an explainer, each number with the bounds of its interval."""
    scores: Mapping[str, Mapping[str, Sequence[float]]] = found["scores"]
    measured = dict.fromkeys(score for column in scores.values() for score in column)
    head = f"removal by {found['removal']}, {found['examples']:,} examples"
    rows = [
        [
            score.replace("_", " ") + DIRECTIONS.get(score, ""),
            *(_interval(column.get(score)) for column in scores.values()),
        ]
        for score in measured
    ]
    if found.get("sanity"):
        rows.append(["alike with shuffled weights ↓", *(number(found["sanity"].get(name)) for name in scores)])
    for depth in range(max(map(len, found.get("cascade", {}).values()), default=0)):
        stages = [found["cascade"].get(name, ()) for name in scores]
        rows.append([f"alike, {depth + 1} from the answer shuffled", *(number(s[depth]) if s else "" for s in stages)])
    return "\n".join([align([[head, *scores], *rows]), *_verdicts(found.get("tests", {}))])


def probe_table(found: Sequence[Mapping[str, Any]]) -> str:
    """What changes of inputs did to answers: a row a change, then the inputs that moved most."""
    head = ["change", "inputs touched", "flips", "flip rate", "score moved by"]
    rows = [
        [
            secrets.scrub(one["change"]),
            f"{one['touched']:,} of {one['inputs']:,}",
            f"{one['flips']:,}",
            _interval(one["flip_rate"]),
            _interval(one["moved"]),
        ]
        for one in found
    ]
    shown = [example for one in found for example in one["examples"]]
    lines = [f"{e['answer'][0]} -> {e['answer'][1]} ({e['moved']:+.3f}): {_line(e['after'])}" for e in shown]
    return "\n\n".join(filter(None, [align([head, *rows]), "\n".join(lines)]))


def _line(given: Any) -> str:
    text = given if isinstance(given, str) else " / ".join(given.values() if isinstance(given, Mapping) else given)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


def _verdicts(tests: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Which explainers, by a paired test on the same examples, do not clearly beat chance, and in what."""
    said: dict[str, list[str]] = {}
    for name, measures in tests.items():
        for measure, test in measures.items():
            if (verdict := against_random(measure, test)) != BETTER:
                said.setdefault(verdict, []).append(f"{name} ({measure.replace('_', ' ')})")
    return [f"{verdict}: {', '.join(which)}" for verdict, which in sorted(said.items())]


def against_random(measure: str, test: Mapping[str, Any]) -> str:
    """What a paired test says of a measure of explanations."""
    if test["p"] is None or not test["p"] < SIGNIFICANT:
        return "no difference from random shown"
    higher = DIRECTIONS.get(measure) != " ↓"
    return BETTER if (test["difference"] > 0) == higher else "worse than random"


def _interval(value: Sequence[float] | None) -> str:
    if value is None:
        return ""
    mean, low, high = value
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def clock(seconds: float) -> str:
    """`0:07`, `1:05` or `2:03:04`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _metrics(columns: Mapping[str, Mapping[str, Any]]) -> str:
    present = {key: None for column in columns.values() for key, value in column.items() if _isnumber(value)}
    others = [key for key in present if key not in METRICS + COUNTS]
    rows = [key for key in (*METRICS, *others, *COUNTS) if key in present]
    table = [
        [key.replace("_", " "), *(number(column.get(key), whole=key in COUNTS) for column in columns.values())]
        for key in rows
    ]
    return align([["", *columns], *table]) if rows else ""


def _cost(result: Mapping[str, Any]) -> str:
    def say(key: str, form: str, by: Callable[[Any], Any] = lambda value: value) -> str:
        value = result.get(key)
        return form.format(by(value)) if value is not None else ""

    epochs = say("epochs", " ({:,} epochs)" if result.get("epochs") != 1 else " ({} epoch)")
    parts = [
        say("parameters", "{} parameters", by=human),
        say("steps", "{:,} steps") + epochs + say("seconds", " in {}", by=clock),
        say("examples_per_second", "{} examples/s", by=rate) + say("tokens_per_second", " ({} tokens/s)", by=rate),
        say("peak_memory_gib", "{:.2f} GiB at peak"),
    ]
    known = [part.strip() for part in parts if part]
    return "cost: " + ", ".join(known) if known else ""


def human(count: float) -> str:
    """Three digits and a unit: `831`, `22.7 M`."""
    units = ["", " k", " M", " G", " T"]
    while abs(count) >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    whole = abs(count) >= 99.95 or (not units[0] and float(count).is_integer())
    return f"{count:.{0 if whole else 1}f}{units[0]}"


def rate(per_second: float) -> str:
    """`1,234`, or `0.85` where things are slow."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def number(value: Any, *, whole: bool = False) -> str:
    if not _isnumber(value):
        return "-"
    if whole:
        return f"{value:,.0f}"
    if value and abs(value) < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _isnumber(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def align(rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    rows = [[secrets.printable(cell) for cell in row] for row in rows]
    first = max(_width(row[0]) for row in rows)
    widths = [max(9, *(_width(cell) for cell in column)) for column in zip(*(row[1:] for row in rows), strict=True)]
    lines = []
    for name, *cells in rows:
        padded = [" " * (width - _width(cell)) + cell for cell, width in zip(cells, widths, strict=True)]
        lines.append("   ".join([name + " " * (first - _width(name)), *padded]))
    return "\n".join(lines)


def printable(name: str) -> str:
    """A class name on one line and of bearable length; what a terminal would obey rather than show is replaced."""
    text = "".join(c if c.isprintable() else " " for c in str(name))
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."


def _width(text: str) -> int:
    """Columns on a terminal, where East Asian characters take two and combining marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
