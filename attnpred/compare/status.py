"""What a run is doing now: whether its process lives, how far it is, and what its directory takes."""

import math
import os
import platform
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from attnpred.compare.record import Record, is_number
from attnpred.console.secrets import printable
from attnpred.files import plain_json

DEAD = "dead"  # what its run.json cannot say of itself
TAIL = 2**16  # bytes at the end of metrics.jsonl: some hundred points


def at_work(run: Path) -> bool:
    """Whether a process holds the run. Nothing is made or changed; where that cannot be told, the answer is yes."""
    try:
        from attnpred.compare.deleting import is_locked  # needs fcntl, which Windows lacks

        handle = os.open(run / ".lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    except (ImportError, OSError):
        return True
    return is_locked(handle)


def living(one: Record) -> Record:
    """The run with the status that it has: `dead` where it says that it is running and its process is gone.

    Of a run on another machine the lock may not be seen here, so what it says is taken.
    """
    here = one.about.get("host") == platform.node()
    if one.status == "running" and here and not at_work(one.path):
        return replace(one, about={**one.about, "status": DEAD})
    return one


@dataclass(frozen=True)
class Progress:
    """What the end of metrics.jsonl tells; None for what it does not."""

    step: int | None = None
    total: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    metric: float | None = None
    left: float | None = None  # seconds


def progress(one: Record) -> Progress:
    points = list(_tail(one.path / "metrics.jsonl"))
    monitor = str(one.config.get("checkpoint.monitor"))
    measured = [point[monitor] for point in points if is_number(point.get(monitor))]
    planned, epochs = one.about.get("planned_steps"), one.config.get("trainer.max_epochs")
    total = planned if isinstance(planned, int) else None
    last = points[-1] if points else {}
    step = last.get("step")
    return Progress(
        step=step if isinstance(step, int) else None,
        total=total,
        epoch=last["epoch"] if isinstance(last.get("epoch"), int) else None,
        epochs=epochs if isinstance(epochs, int) else None,
        metric=measured[-1] if measured else None,
        left=_left(points, total),
    )


def _left(points: list[dict[str, Any]], total: int | None) -> float | None:
    """By the pace of the points that follow one another; where a run was resumed, a new pace begins."""
    steps = [(p["step"], p["time"]) for p in points if is_number(p.get("step")) and is_number(p.get("time"))]
    for i in range(len(steps) - 1, 0, -1):
        if steps[i][0] < steps[i - 1][0]:
            steps = steps[i:]
            break
    if total is None or len(steps) < 2 or steps[-1][0] <= steps[0][0]:
        return None
    (first, began), (last, now) = steps[0], steps[-1]
    left = (now - began) / (last - first) * (total - last) - (time.time() - now)
    return max(0.0, left) if math.isfinite(left) else None


def _tail(file: Path) -> Iterator[dict[str, Any]]:
    """The last points, whatever is half written among them."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):  # a pipe would be waited for
            return
        with file.open("rb") as stream:
            start = max(0, stream.seek(0, os.SEEK_END) - TAIL)
            stream.seek(start)
            lines = stream.read(TAIL).splitlines()
    except OSError:
        return
    yield from points(lines[1:] if start else lines)


def points(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            point = plain_json(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(point, dict):
            yield point


def size(directory: Path) -> int:
    """Bytes of the files below; a link is none."""
    total, waiting = 0, [str(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # gone meanwhile, or not ours to read
    return total


def age(one: Record) -> float | None:
    """Seconds since it was started."""
    try:
        return time.time() - datetime.fromisoformat(str(one.about.get("started"))).timestamp()
    except (ValueError, OverflowError):  # no date, or one that no clock here can show
        return None


def human_time(seconds: float | None) -> str:
    """`40 s`, `7 min`, `3 h` or `12 d`."""
    if seconds is None:
        return "–"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def human_size(count: float) -> str:
    """`12 KiB`, `3.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.{0 if count >= 10 or unit == 'B' else 1}f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def shown(path: Path) -> str:
    """As one would type it; what a terminal would obey rather than show is replaced."""
    near = os.path.relpath(path)
    return printable(str(path) if near.startswith("..") else near)
