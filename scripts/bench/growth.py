"""How cost grows with length, batch, width, depth, rows, processes and jobs: measured, kept, and shown.

    python -m scripts.bench.growth
    python -m scripts.bench.growth --only length rows --repeats 3
    python -m scripts.bench.growth --only rows --rows 10000 100000 1000000 10000000
    python -m scripts.bench.growth --only

The numbers go to docs/growth.json; the page docs/growth.md and its picture are made of all that is kept there. --only
without names measures nothing and makes these anew. Exits with 1 if a point failed.
"""

# Linux counts what the parent held towards its children's peak: nothing heavy is imported here

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from attnpred.machine.process_setup import ENVIRONMENT
from scripts.bench import growth_data, growth_page, growth_plot, harness
from scripts.bench.growth_data import At, Curve, Point

KEPT = harness.ROOT / "docs" / "growth.json"
TEXT = {"model": "transformer", "width": 128, "depth": 4}
IMAGE = {"model": "resnet_attention", "width": 32, "depth": 2}


@dataclass(frozen=True)
class Sizes:
    """What is gone through, and what is held."""

    lengths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048, 4096)
    length: int = 256
    texts: tuple[int, ...] = (8, 16, 32, 64, 128)
    images: tuple[int, ...] = (32, 64, 128, 256, 512)
    batch: int = 4
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 1.0
    rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    words: int = 12
    processes: tuple[int, ...] = (1, 2)
    epochs: int = 10
    jobs: tuple[int, ...] = (1, 4, 8)


SMALL = Sizes(
    lengths=(16, 32, 64, 128),
    length=64,
    texts=(2, 4),
    images=(8, 16),
    batch=2,
    widths=(32, 64),
    depths=(1, 2),
    seconds=0.1,
    rows=(2000, 4000),
    epochs=1,
    jobs=(1, 2),
)


@dataclass(frozen=True)
class Measure:
    """`works`, each MODULE:FUNCTION of this folder, run one after another, each in a process of its own."""

    works: tuple[str, ...]
    points: Callable[[Sizes], list[At]]


def text_step(sizes: Sizes, **changes: Any) -> At:
    held = {"batch": 2 * sizes.batch, "length": sizes.length, "padded": False, "seconds": sizes.seconds}
    return {**TEXT, **held, **changes}


STEP = ("growth_steps:step",)
MEASURES = {
    "length": Measure(
        STEP,
        lambda s: [
            text_step(s, batch=s.batch, length=length, padded=padded)
            for padded in (False, True)
            for length in s.lengths
        ],
    ),
    "batch_text": Measure(STEP, lambda s: [text_step(s, batch=batch) for batch in s.texts]),
    "batch_image": Measure(STEP, lambda s: [{**IMAGE, "batch": batch, "seconds": s.seconds} for batch in s.images]),
    "width": Measure(STEP, lambda s: [text_step(s, width=width) for width in s.widths]),
    "depth": Measure(STEP, lambda s: [text_step(s, depth=depth) for depth in s.depths]),
    "rows": Measure(
        ("growth_rows:write", "growth_rows:prepare", "growth_rows:open_prepared", "growth_rows:stream"),
        lambda s: [{"rows": rows, "words": s.words} for rows in s.rows],
    ),
    "processes": Measure(
        ("growth_runs:processes",), lambda s: [{"processes": count, "epochs": s.epochs} for count in s.processes]
    ),
    "devices": Measure(
        ("growth_steps:step", "growth_exchange:exchange"),
        lambda s: [text_step(s), {**IMAGE, "batch": s.images[-1], "seconds": s.seconds}],
    ),
    "jobs": Measure(("growth_runs:sweep",), lambda s: [{"jobs": jobs} for jobs in s.jobs]),
}


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    if args.work:
        harness.answer(lambda: {"answer": function(args.work)(**json.loads(args.at))})
        return 0
    sizes = sizes_of(args)
    curves = growth_data.load(args.json)
    troubles: list[str] = []
    machine = in_child("scripts.machine:machine", {}) if args.only else ""
    for name in [name for name in MEASURES if name in args.only]:
        points = measured(name, sizes, args.repeats, troubles)
        if points:
            curves[name] = Curve(machine, str(date.today()), points, args.note)
        # after each, so that an interruption loses one at most
        growth_data.save(args.json, {name: curves[name] for name in MEASURES if name in curves})
    troubles += shown(args.json)
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    return 1 if troubles else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(MEASURES)
    made.add_argument("--only", nargs="*", choices=names, default=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--json", type=Path, default=KEPT, metavar="FILE", help="page and picture go beside it")
    made.add_argument("--repeats", type=harness.positive, default=1, help="times that a curve is measured")
    made.add_argument("--small", action="store_true", help="sizes that take seconds, to see that all of it runs")
    made.add_argument("--seconds", type=float, help="time the steps of a point for so long, and three at least")
    made.add_argument("--lengths", type=harness.positive, nargs="+", help="tokens a text")
    made.add_argument("--rows", type=harness.positive, nargs="+", help="texts that are prepared")
    made.add_argument("--jobs", type=harness.positive, nargs="+", help="jobs a sweep")
    made.add_argument("--note", default="", help="a sentence on the machine, such as what else it did meanwhile")
    made.add_argument("--work", help=argparse.SUPPRESS)  # what a child is to do, and its arguments
    made.add_argument("--at", help=argparse.SUPPRESS)
    return made


def sizes_of(args: argparse.Namespace) -> Sizes:
    known = {f.name for f in fields(Sizes)}
    given = {name: value for name, value in vars(args).items() if name in known and value is not None}
    changes: dict[str, Any] = {n: tuple(sorted(v)) if isinstance(v, list) else v for n, v in given.items()}
    return replace(SMALL if args.small else Sizes(), **changes)


def measured(name: str, sizes: Sizes, repeats: int, troubles: list[str]) -> list[Point]:
    """The points that did not fail; what failed is added to `troubles`."""
    places = MEASURES[name].points(sizes)
    answers: list[list[dict[str, float]]] = [[] for _ in places]
    failed: set[int] = set()
    # the curve again and again, not a point, so that a noisy moment falls on all of it
    for turn in range(repeats):
        for number, at in enumerate(places):
            if number in failed:
                continue
            where = " ".join(f"{key}={value}" for key, value in at.items())
            print(f"{name}: {turn + 1} of {repeats}: {where}", file=sys.stderr, flush=True)
            try:
                answers[number].append(point(MEASURES[name].works, at))
            except harness.SideFailed as error:
                failed.add(number)
                troubles.append(str(error))
    return [Point(at, found) for n, (at, found) in enumerate(zip(places, answers, strict=True)) if n not in failed]


def point(works: tuple[str, ...], at: At) -> dict[str, float]:
    """What all works of a point measured, in a directory that they share."""
    values: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        for work in works:
            values |= in_child(f"scripts.bench.{work}", {"directory": directory, **at})
    return values


def in_child(work: str, arguments: At) -> Any:
    command = ["scripts.bench.growth", "--work", work, "--at", json.dumps(arguments)]
    return harness.in_child(f"{work} {arguments}", command, ENVIRONMENT)["answer"]


def function(work: str) -> Callable[..., Any]:
    module, _, name = work.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def shown(kept: Path) -> list[str]:
    """Makes the page and the picture; says what could not be made."""
    curves = growth_data.load(kept)
    picture = kept.with_suffix(".svg")
    missing = []
    try:
        growth_plot.draw(picture, curves)
    except ImportError as error:
        missing = [f"no picture ({error}); pip install '.[bench]', then give --only without names"]
    page = growth_page.page(curves, numbers=kept.name, picture=None if missing else picture.name)
    kept.with_suffix(".md").write_text(page, encoding="utf-8")
    return missing


if __name__ == "__main__":
    sys.exit(main())
