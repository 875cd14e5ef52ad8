"""The picture: a row a curve, time on the left and memory on the right."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench import communication
from scripts.bench.growth_data import Curve, Point
from scripts.bench.growth_page import MIB, PADDING, STEPS, items

COLUMNS, SIZE = 2, (4.5, 2.6)  # inches a panel
# words stay words, and the same numbers give the same file
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 8}
Line = tuple[str, list[float], list[float]]  # label, xs, ys


@dataclass(frozen=True)
class Panel:
    title: str
    x: str
    lines: list[Line]
    even: bool = False  # values from 0 on, else by powers
    few: bool = False  # sizes lie evenly, else by powers


def draw(file: Path, curves: Mapping[str, Curve]) -> None:
    """Raises ImportError where matplotlib is not installed."""
    # by name: types are checked where it is not installed, too
    matplotlib: Any = importlib.import_module("matplotlib")
    figures: Any = importlib.import_module("matplotlib.figure")
    panels = [panel for name, curve in curves.items() for panel in panels_of(name, curve)]
    height = -(-len(panels) // COLUMNS)
    with matplotlib.rc_context(SETTINGS):
        figure = figures.Figure((SIZE[0] * COLUMNS, SIZE[1] * max(height, 1)), layout="constrained")
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(height, COLUMNS, number)
            for label, xs, ys in panel.lines:
                axes.plot(xs, ys, marker="o", markersize=3, label=label)
            axes.set(title=panel.title, xlabel=panel.x)
            axes.grid(alpha=0.3)
            if panel.even:
                axes.set_ylim(0, 1.1 * max(y for _, _, ys in panel.lines for y in ys))
            else:
                axes.set_yscale("log", nonpositive="mask")
            if not panel.few:
                axes.set_xscale("log")
            sizes = sorted({x for _, xs, _ in panel.lines for x in xs})
            axes.set_xticks(sizes, [f"{x:,}" for x in sizes])
            axes.set_xticks([], minor=True)
            if len(panel.lines) > 1:
                axes.legend(fontsize="small")
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, metadata={"Date": None})


def panels_of(name: str, curve: Curve) -> list[Panel]:
    return step_panels(name, curve) if name in STEPS else OTHERS[name](curve)


def line(points: list[Point], key: str, label: str, value: str, scale: float = 1.0, *, each: bool = False) -> Line:
    """`each`: a token or an image."""
    ys = [scale * point.value(value) / (items(point)[0] if each else 1) for point in points]
    return label, [point.at[key] for point in points], ys


def step_panels(name: str, curve: Curve) -> list[Panel]:
    what, found = STEPS[name], curve.lines("padded")
    item = items(curve.points[0])[1]
    time = [line(p, what.key, PADDING.get(k, ""), "seconds", 1e6, each=True) for k, p in found.items()]
    memory = [line(p, what.key, PADDING.get(k, ""), "bytes", 1 / MIB) for k, p in found.items()]
    return [
        Panel(f"{what.title}: µs per {item}", what.unit, time, even=True),
        Panel(f"{what.title}: peak MiB of a step", what.unit, memory),
    ]


def row_panels(curve: Curve) -> list[Panel]:
    times = {"preparing": "prepare_seconds", "opening": "open_seconds", "first batch": "batch_seconds"}
    peaks = {"preparing": "prepare_bytes", "opening, with the first batch": "batch_bytes"}
    return [
        Panel("Rows: seconds", "rows", [line(curve.points, "rows", *names) for names in times.items()]),
        Panel("Rows: peak MiB", "rows", [line(curve.points, "rows", *names, 1 / MIB) for names in peaks.items()]),
    ]


def process_panels(curve: Curve) -> list[Panel]:
    rate = line(curve.points, "processes", "", "examples_per_second")
    return [Panel("Processes on the CPU: examples/s", "processes", [rate], even=True, few=True)]


def device_panels(curve: Curve) -> list[Panel]:
    panels = []
    for point in curve.points:
        step = communication.step_of(point)
        devices: list[float] = [*communication.DEVICES]
        lines = [
            (one.name.partition(",")[0], devices, [communication.speed(step, int(count), one) for count in devices])
            for one in communication.networks(point)
        ]
        panels.append(Panel(f"Devices: times the speed of one, {point.at['model']}", "devices", lines))
    return panels


def job_panels(curve: Curve) -> list[Panel]:
    names = {"of a sweep": "job_seconds", "on its own": "single_seconds"}
    lines = [line(curve.points, "jobs", *pair) for pair in names.items()]
    return [Panel("Sweeps: seconds a job", "jobs", lines, even=True, few=True)]


OTHERS: dict[str, Callable[[Curve], list[Panel]]] = {
    "rows": row_panels,
    "processes": process_panels,
    "devices": device_panels,
    "jobs": job_panels,
}
