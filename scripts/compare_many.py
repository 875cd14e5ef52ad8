"""How long `attnpred compare` takes to read ten thousand runs, for the first time and again; docs/benchmarks.md says.

    python -m scripts.compare_many

Run directories are made in a temporary directory: a search over rates, widths and seeds, records of the usual size, no
checkpoints. The index goes there too. Each time is that of a whole process, the command and its imports included, and
beside it the processor's, which other work on the machine changes less.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from attnpred.config import compose
from scripts.machine import machine
from scripts.tables import BENCHMARKS, put

ROUNDS = 3
CLASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "outputs")
        load = os.getloadavg()[0]
        make(tree, args.runs)
        time.sleep(3)  # files that changed a moment ago are read again
        cold = [seconds(tree, place, fresh=True) for _ in range(ROUNDS)]
        warm = [seconds(tree, place) for _ in range(ROUNDS)]
        (index,) = Path(place).rglob(".cache/attnpred/runs/*.json")
        size = index.stat().st_size / 2**20
    line = (
        f"{args.runs:,} runs: {told(cold)} the first time, {told(warm)} again, medians of {ROUNDS}; "
        f"index {size:.1f} MiB. {machine()}, with {load:.0f} other processes at work, {date.today()}."
    )
    put(line, "compare_many", BENCHMARKS)


def make(tree: Path, count: int) -> None:
    """Runs that differ as those of a search do: five seeds of each."""
    config = compose.compose(["trainer.max_epochs=3"])
    text = compose.as_yaml(config)
    places = {"seed": f"\nseed: {config.seed}\n", "lr": f"\n  lr: {config.optimizer.lr}\n", "width": "\n  width: 32\n"}
    assert all(text.count(place) == 1 for place in places.values())
    for number in range(count):
        group, seed = divmod(number, 5)
        run = tree / f"sweep-{number // 500}" / str(number)
        run.mkdir(parents=True)
        own = text.replace(places["seed"], f"\nseed: {seed}\n")
        own = own.replace(places["lr"], f"\n  lr: {0.001 * (1 + group % 100):.3f}\n")
        (run / "config.yaml").write_text(own.replace(places["width"], f"\n  width: {8 * (1 + group // 100)}\n"))
        value = 0.7 + 0.001 * (group % 100) + 0.0003 * seed
        (run / "run.json").write_text(description(number))
        (run / "metrics.json").write_text(result(value))


def description(number: int) -> str:
    told = {
        "status": "done",
        "overrides": ["data=digits", f"seed={number % 5}", "optimizer.lr=0.1"],
        "started": "2026-01-01T00:00:00+00:00",
        "host": "machine",
        "command": ["attnpred", "train", "data=digits"],
        "attnpred": "0.1.0",
        "code": "0123456789ab",
        "packages": {"torch": "2.9.0"},
        "ended": "2026-01-01T00:01:00+00:00",
    }
    return json.dumps(told, indent=2)


def result(value: float) -> str:
    metrics = {"loss": 1 - value, "accuracy": value, "f1": value, "calibration_error": 0.1}
    classes = [
        {"name": str(i), "precision": value, "recall": value, "f1": value, "support": 36} for i in range(CLASSES)
    ]
    best = {**metrics, "step": 39, "epoch": 1}
    test = {**metrics, "classes": classes, "confusion": [[i] * CLASSES for i in range(CLASSES)], "examples": 360}
    cost = {"parameters": 191930, "examples_per_second": 157.4, "seconds": 9.1, "steps": 39, "epochs": 1}
    return json.dumps({"val": {"best": best, "final": best}, **cost, "test": test}, indent=2)


def seconds(tree: Path, home: str, *, fresh: bool = False) -> tuple[float, float]:
    """By the clock, and of the processor."""
    if fresh:
        for file in Path(home).rglob(".cache/attnpred/runs/*.json"):
            file.unlink()
    command = [sys.executable, "-m", "attnpred", "compare", str(tree)]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**os.environ, "HOME": home}, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def told(rounds: list[tuple[float, float]]) -> str:
    elapsed, used = (statistics.median(column) for column in zip(*rounds, strict=True))
    return f"{elapsed:.1f} s ({used:.1f} s of the processor)"


if __name__ == "__main__":
    main()
