"""The page around the picture: tables, and sentences that follow from the numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.bench import communication
from scripts.bench.growth_data import Curve, Point, exponent, upper
from scripts.bench.results import number

NEAR = 0.1  # of an exponent to 1, to be called linear
BYTES_A_ROW = 40  # more is too much
MIB, KIB = 2**20, 2**10
HEAD = """# How cost grows

Written by `python -m scripts.bench.growth`, sentences included; the numbers are in [{numbers}]({numbers}).
Every point ran alone in a process of its own. Memory is the peak that the work itself added: activations and temporary
arrays of a training step, without weights, gradients and the optimizer's state; arrays of a dataset, without libraries.
Exponents are fitted over the upper half of the points; within {near} of 1 they are called linear.
"""


@dataclass(frozen=True)
class Steps:
    """A curve of training steps."""

    title: str
    key: str
    unit: str  # of the key


STEPS = {
    "length": Steps("Length of the texts", "length", "tokens a text"),
    "batch_text": Steps("Texts a batch", "batch", "texts"),
    "batch_image": Steps("Images a batch", "batch", "images"),
    "width": Steps("Width", "width", "features"),
    "depth": Steps("Depth", "depth", "layers"),
}
PADDING = {True: "with padding masks", False: "without padding"}


def page(curves: Mapping[str, Curve], *, numbers: str, picture: str | None) -> str:
    parts = [HEAD.format(numbers=numbers, near=NEAR)]
    if picture is not None:
        parts.append(f"![time and memory of every curve]({picture})\n")
    for name, curve in curves.items():
        title, lines = STEPS[name].title if name in STEPS else OTHERS[name][0], section(name, curve)
        parts.append("\n".join([f"## {title}", "", *lines, "", origin(curve), ""]))
    return "\n".join(parts)


def origin(curve: Curve) -> str:
    times = "once" if curve.repeats == 1 else f"{curve.repeats} times; medians, with their ranges,"
    note = f" {curve.note}" if curve.note else ""
    return f"Measured {times} on {curve.machine}, {curve.date}.{note}"


def section(name: str, curve: Curve) -> list[str]:
    return steps(STEPS[name], curve) if name in STEPS else OTHERS[name][1](curve)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def items(point: Point) -> tuple[int, str]:
    """How many tokens, or images, a step works on."""
    batch, length = point.at["batch"], point.at.get("length")
    return (batch, "image") if length is None else (batch * length, "token")


def steps(what: Steps, curve: Curve) -> list[str]:
    lines = curve.lines("padded")
    several = len(lines) > 1
    one = an(items(curve.points[0])[1])
    head = [what.unit, *["padding"] * several, "ms a step", f"µs {one}", "peak MiB", f"KiB {one}", "parameters"]
    rows = []
    for padded, points in lines.items():
        for point in points:
            count = items(point)[0]
            row = [f"{point.at[what.key]:,}", *[PADDING.get(padded, "")] * several]
            row += [point.shown("seconds", 1e3), point.shown("seconds", 1e6 / count)]
            row += [point.shown("bytes", 1 / MIB), point.shown("bytes", 1 / KIB / count)]
            rows.append([*row, f"{point.value('parameters'):,.0f}"])
    said = [f"{held_text(curve.held(), what.key)}.", "", *table(head, rows), ""]
    for padded, points in lines.items():
        said += [f"- {sentence}" for sentence in grows(what, PADDING.get(padded, "") if several else "", points)]
    return [*said, *(f"- {sentence}" for sentence in masks(lines))]


def an(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def held_text(held: Mapping[str, Any], varied: str) -> str:
    """What was the same at all points."""
    left_out = ("model", "seconds", varied)
    words = [PADDING[held[key]] if key == "padded" else f"{key} {held[key]}" for key in held if key not in left_out]
    return ", ".join([f"`{held['model']}`", *words])


def grows(what: Steps, line: str, points: list[Point]) -> list[str]:
    """How time and memory follow the key, and what an item costs at least and at most."""
    half = upper(points)
    xs = [point.at[what.key] for point in half]
    where = f"{f'{line}, from' if line else 'from'} {min(xs):,} to {max(xs):,} {what.unit}"
    names = {"the time of a step": "seconds", "peak memory": "bytes"}
    fits = {text: exponent(xs, [point.value(name) for point in half]) for text, name in names.items()}
    clauses = [f"{text} grows by the exponent {e:.2f} ({kind(e)})" for text, e in fits.items() if e is not None]
    times, peaks = ([point.value(name) / items(point)[0] for point in half] for name in names.values())
    cost = f"{an(items(points[0])[1])} takes {span(times, 1e6)} µs and {span(peaks, 1 / KIB)} KiB"
    text = f"{where}, {'; '.join([' and '.join(clauses), cost] if clauses else [cost])}."
    return [text[0].upper() + text[1:]]


def kind(e: float) -> str:
    if abs(e - 1) <= NEAR:
        return "linear"
    return "more than linear" if e > 1 else "less than linear"


def span(values: list[float], scale: float = 1.0) -> str:
    low, high = number(scale * min(values)), number(scale * max(values))
    return low if low == high else f"{low} to {high}"


def masks(lines: Mapping[Any, list[Point]]) -> list[str]:
    """What padding masks cost, over points that lie at the same place."""
    if not {True, False} <= set(lines):
        return []
    bare = {point.at["length"]: point for point in lines[False]}
    pairs = [(point, bare[point.at["length"]]) for point in lines[True] if point.at["length"] in bare]
    if not pairs:
        return []
    ratios = [
        [masked.value(name) / plain.value(name) for masked, plain in pairs if plain.value(name) > 0]
        for name in ("seconds", "bytes")
    ]
    return [f"Padding masks multiply the time by {span(ratios[0])} and the memory by {span(ratios[1])}."]


def rows(curve: Curve) -> list[str]:
    head = ["rows", "preparing, s", "preparing, peak MiB", "preparing, bytes a row"]
    head += ["opening, s", "first batch, s", "both, peak MiB", "both, bytes a row", "on disk, bytes a row"]
    body = []
    for point in curve.points:
        count = point.at["rows"]
        cells = [("prepare_seconds", 1.0), ("prepare_bytes", 1 / MIB), ("prepare_bytes", 1 / count)]
        cells += [("open_seconds", 1.0), ("batch_seconds", 1.0), ("batch_bytes", 1 / MIB), ("batch_bytes", 1 / count)]
        body.append([f"{count:,}", *(point.shown(*cell) for cell in cells), point.shown("disk_bytes", 1 / count)])
    last = curve.points[-1]
    count = last.at["rows"]
    said = [
        f"{count:,} rows are prepared in {last.shown('prepare_seconds')} s, "
        f"{number(count / last.value('prepare_seconds'))} a second; what was prepared is open after "
        f"{last.shown('open_seconds')} s, and the first batch there {last.shown('batch_seconds')} s later.",
        f"Labels and offsets alone, as they are kept on disk, take {last.shown('kept_bytes', 1 / count)} bytes a row.",
    ]
    if "prepare_cpu_seconds" in last.measured[0]:
        each = number(count / last.value("prepare_cpu_seconds"))
        said.append(f"That took {last.shown('prepare_cpu_seconds')} s of a core's time, {each} rows in each.")
    if len(curve.points) > 1:
        said.append(each_row(*curve.points[-2:]))
    lines = [f"Texts of {curve.held()['words']} words.", "", *table(head, body), "", *(f"- {line}" for line in said)]
    return [*lines, *batches(curve)]


def batches(curve: Curve) -> list[str]:
    """How fast rows come in batches, prepared and streamed."""
    head = ["rows", "prepared, rows/s", "streamed, rows/s", "counting before, s", "streaming, peak MiB"]
    cells = [("read_rate", 1.0), ("stream_rate", 1.0), ("stream_open_seconds", 1.0), ("stream_bytes", 1 / MIB)]
    points = [point for point in curve.points if "stream_rate" in point.measured[0]]
    body = [[f"{point.at['rows']:,}", *(point.shown(*cell) for cell in cells)] for point in points]
    return ["", "In batches, as training takes them:", "", *table(head, body)] if body else []


def each_row(earlier: Point, later: Point) -> str:
    """By how much peak memory grows with a row, whatever it is at the start."""
    few, many = earlier.at["rows"], later.at["rows"]
    parts = []
    for work, name in (("while preparing", "prepare_bytes"), ("on opening, with the first batch", "batch_bytes")):
        each = (later.value(name) - earlier.value(name)) / (many - few)
        verdict = "more than" if each > BYTES_A_ROW else "not more than"
        parts.append(f"by {number(each)} bytes a row {work} ({verdict} {BYTES_A_ROW})")
    return f"From {few:,} to {many:,} rows the peak grows {' and '.join(parts)}."


def processes(curve: Curve) -> list[str]:
    head = ["processes", "examples/s", "steps", "training, s"]
    body = [
        [str(point.at["processes"]), *(point.shown(name) for name in ("examples_per_second", "steps", "seconds"))]
        for point in curve.points
    ]
    epochs = curve.held()["epochs"]
    said = [f"The default experiment, `trainer=ddp_cpu trainer.max_epochs={epochs}`.", "", *table(head, body)]
    first, *others = curve.points
    for point in others:
        ratio = point.value("examples_per_second") / first.value("examples_per_second")
        counts = f"{point.at['processes']} processes together train {number(ratio)} times as many examples a second"
        said += ["", f"- {counts} as {first.at['processes']}."]
    return said


def jobs(curve: Curve) -> list[str]:
    head = ["jobs", "s a job", "s a single run", "difference, s"]
    body, said = [], []
    for point in curve.points:
        count = point.at["jobs"]
        pairs = zip(point.values("job_seconds"), point.values("single_seconds"), strict=True)
        more = Point(point.at, [{"more": job - single} for job, single in pairs])
        body.append([str(count), point.shown("job_seconds"), point.shown("single_seconds"), more.shown("more")])
        difference = more.value("more")
        side = "more" if difference >= 0 else "less"
        said.append(f"- A job in a sweep of {count} takes {number(abs(difference))} s {side} than a run on its own.")
    return ["Jobs of a single step each, start to end.", "", *table(head, body), "", *said]


OTHERS: dict[str, tuple[str, Callable[[Curve], list[str]]]] = {
    "rows": ("Rows of a dataset", rows),
    "processes": ("Processes on the CPU", processes),
    "devices": ("Devices that train together", communication.section),
    "jobs": ("Jobs of a sweep", jobs),
}
