"""What scripts that train by command do alike."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = "runs at once, as one GPU has room for: their times say nothing then, and are not shown"


def train(overrides: list[str]) -> dict[str, Any]:
    """One run in a process of its own: its `metrics.json`, and its directory as `run`."""
    command = [sys.executable, "-m", "attnpred", "train", *overrides]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    run = Path(finished.stdout.splitlines()[-1])
    return {"run": str(run), **json.loads((run / "metrics.json").read_text(encoding="utf-8"))}


def in_turn(run: Callable[[T], R], inputs: Iterable[T], at_once: int) -> Iterator[R]:
    """Results in the order of the inputs, of which `at_once` are worked on; the first failure ends it."""
    with ThreadPoolExecutor(at_once) as threads:
        yield from threads.map(run, inputs)


def spread(values: list[float], digits: int = 2) -> str:
    """Mean, and deviation where there are several."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"
