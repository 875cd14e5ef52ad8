"""What became of a job: read from its exit code, its run's records, and its log."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

from attnpred.errors import UserError
from attnpred.files import read_json
from attnpred.sweep.job import LOG, Job
from attnpred.sweep.record import text

# how a process ends that was stopped from outside, which is no failure of the job's
STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM, *(-s for s in (1, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))}
TAIL = 64 * 1024  # bytes of a log or of curves that are looked through


def settle(job: Job, code: int, objective: list[str]) -> None:
    """Takes down how the job's process ended."""
    record = described(job)
    job.exit_code, job.error = code, None
    if code == 0:
        job.status = "pruned" if record.get("status") == "pruned" else "done"
        take_values(job, objective)
    elif code in STOPPED:
        job.status, job.error = "interrupted", _stopped(code)
    else:
        job.status = "failed"
        told = record.get("error")
        job.error = _complaint(job, code) or (told if text(told) else None) or f"ended with exit code {code}"


def recover(job: Job, objective: list[str]) -> None:
    """Takes down what the job's directory tells of a job whose parent did not live to hear of it."""
    record = described(job)
    status, ended = record.get("status"), record.get("ended")
    if status == "done" or status == "pruned":
        job.status = status
        job.exit_code, job.ended, job.error = 0, ended if text(ended) else None, None
        take_values(job, objective)
    elif job.status == "running":
        job.status = "interrupted"


def described(job: Job) -> dict[str, Any]:
    """What run.json says; nothing where there is none yet."""
    try:
        content = read_json(job.directory / "run.json")
    except (OSError, ValueError, UserError):
        return {}
    return content if isinstance(content, dict) else {}


def take_values(job: Job, objective: list[str]) -> None:
    try:
        result = read_json(job.directory / "metrics.json")
    except (OSError, ValueError, UserError):
        result = {}
    found = {name: _number(result, name) for name in objective}
    if job.status == "pruned":
        found = {name: newest(job, name) for name in objective}
    job.values = {name: number for name, number in found.items() if number is not None and math.isfinite(number)}


def _number(result: Any, name: str) -> float | None:
    """As `value`, of a file that may be anything."""
    try:
        return value(result, name)
    except (AttributeError, TypeError, KeyError, ValueError, OverflowError):
        return None


def value(result: dict[str, Any], name: str) -> float | None:
    """A number of a run's result: val/NAME or attention/NAME of its best weights, or what it cost."""
    split, _, rest = name.partition("/")
    if split == "attention":
        measured = result.get("attention", {}).get("scores", {}).get("attention", {}).get(rest)
        return float(measured[0]) if measured else None
    place = result.get(split, {}) if rest else result
    if split == "val":
        place = place.get("best", {})
    number = place.get(rest or name)
    return float(number) if isinstance(number, int | float) else None


class Curve:
    """One metric's values of a run, read as they come: every line once, however long the run."""

    def __init__(self, job: Job, name: str) -> None:
        self.file, self.name, self.read = job.directory / "metrics.jsonl", name, 0
        self.values: list[float] = []

    def further(self) -> list[float]:
        """The values that came since it was last asked, which `values` holds too."""
        try:
            with self.file.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size < self.read:  # the run went back to an earlier checkpoint
                    self.read, self.values = 0, []
                stream.seek(self.read)
                whole, _, _ = stream.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self.read += len(whole) + 1 if whole else 0
        found = [_point(line, self.name) for line in whole.decode("utf-8", errors="replace").splitlines()]
        new = [number for number in found if number is not None]
        self.values += new
        return new


def newest(job: Job, name: str) -> float | None:
    """The last value of a metric that a run has written."""
    lines = reversed(tail(job.directory / "metrics.jsonl"))
    return next((number for line in lines if (number := _point(line, name)) is not None), None)


def _point(line: str, name: str) -> float | None:
    if f'"{name}"' not in line:
        return None
    try:
        number = json.loads(line).get(name)
        return float(number) if isinstance(number, int | float) else None
    except (ValueError, AttributeError, OverflowError, RecursionError):
        return None


def tail(file: Path) -> list[str]:
    """The last lines of a file that may be long."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            return stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _complaint(job: Job, code: int) -> str | None:
    """The line by which a user's mistake was answered, if the log has it."""
    lines = [line for line in tail(job.directory / LOG) if line.startswith("error: ")]
    return lines[-1].removeprefix("error: ") if lines and code == 2 else None


def _stopped(code: int) -> str:
    number = -code if code < 0 else code - 128
    return f"stopped by {signal.Signals(number).name}"
