"""How far a sweep is, for a person watching stderr: a living table on a terminal, plain lines elsewhere."""

import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from attnpred.config import packages
from attnpred.console import tables
from attnpred.console.secrets import hide, printable
from attnpred.runs import resuming
from attnpred.sweep import outcome
from attnpred.sweep.job import OVER, Job
from attnpred.sweep.state import Sweep

SEARCH = "optuna"  # the sweeper that looks for what is best
MOST_ROWS = 40  # of the table at the end
DIGITS = 8  # of a number that are shown as they are
MARGIN = 4  # lines of the terminal that are left to others


class Table:
    """`swept` names the options by which jobs differ, which tell them apart."""

    def __init__(self, sweep: Sweep, swept: list[str], at_once: int, stream: TextIO | None = None) -> None:
        self.sweep, self.swept, self.at_once = sweep, swept, at_once
        self.stream = stream or sys.stderr
        # a job alone shows its own progress there
        self.live = self.stream.isatty() and at_once > 1
        self.shown = 0  # lines that are to be rewritten
        self.begun: dict[int, float] = {}
        self.lengths: list[float] = []  # in seconds, of jobs that came to their end

    def say(self, line: str) -> None:
        self._erase()
        print("\n".join(map(printable, line.split("\n"))), file=self.stream, flush=True)

    def started(self, job: Job) -> None:
        self.begun[job.number] = time.monotonic()
        if not self.live:
            self.say(f"job {job.number} started: {self.name(job)}")

    def ended(self, job: Job, running: list[Job], total: int) -> None:
        seconds = time.monotonic() - self.begun.get(job.number, time.monotonic())
        if job.status == "done":
            self.lengths.append(seconds)
        if job.status in ("failed", "interrupted"):
            self.say(self.failure(job))
        else:
            self.say(f"job {job.number} {job.status} in {tables.clock(seconds)}: {self.name(job)}{_told(job.values)}")
        if not self.live:
            self.say(self._state(running, total))

    def failure(self, job: Job) -> str:
        log = job.directory / outcome.LOG
        where = f" ({log})" if log.is_file() else ""
        what = "failed" if job.status == "failed" else job.status
        return f"error: job {job.number} ({self.name(job)}) {what}: {job.error}{where}"

    def name(self, job: Job) -> str:
        """What the job has of its own."""
        own = [o.partition("=") for o in job.overrides if o.partition("=")[0] in self.swept]
        return " ".join(f"{key}={_short(value)}" for key, _, value in own) or " ".join(job.overrides)

    def draw(self, running: list[Job], total: int) -> None:
        if not self.live:
            return
        size = shutil.get_terminal_size()
        lines = [self._state(running, total)]
        for job in running[: max(1, size.lines - MARGIN)]:
            newest = {name: outcome.newest(job, name) for name in self.sweep.objective}
            elapsed = tables.clock(time.monotonic() - self.begun[job.number])
            lines.append(printable(f"  {job.number}  {elapsed}  {self.name(job)}{_told(newest)}"))
        self._erase()
        self.stream.write("".join(f"{line[: size.columns - 1]}\n" for line in lines))
        self.stream.flush()
        self.shown = len(lines)

    def end(self, left: int) -> None:
        """How all ended, what a search found best, and every failure once more, where nothing stands after it."""
        best = best_of(self.sweep)
        self.say(self._all(best))
        if len(best) == 1 and len(self.sweep.objective) == 1:
            self.say(f"best: job {best[0].number}{_told(best[0].values)}; to train with its values:")
            self.say(hide(_training(best[0], self.sweep.config_dir)))
        failed = [job for job in self.sweep.jobs if job.status == "failed"]
        if left or failed:
            those = " and ".join(
                filter(None, [f"{left} left" if left else "", f"{len(failed)} failed" if failed else ""])
            )
            self.say(f"of the jobs {those}: {resuming.command(self.sweep.path)} goes on with them")
        for job in failed:
            self.say(self.failure(job))

    def _state(self, running: list[Job], total: int) -> str:
        counts = {status: sum(job.status == status for job in self.sweep.jobs) for status in (*OVER, "interrupted")}
        said = [f"{counts['done']} of {total} done"]
        said += [f"{counts[status]} {status}" for status in ("failed", "pruned", "interrupted") if counts[status]]
        said.append(f"{len(running)} running")
        left = self._left(running, total - sum(counts[status] for status in OVER) - len(running))
        return ", ".join(said) + (f", about {tables.clock(left)} left" if left is not None else "")

    def _left(self, running: list[Job], waiting: int) -> float | None:
        if not self.lengths:
            return None
        usual, present = sum(self.lengths) / len(self.lengths), time.monotonic()
        begun = sum(max(0.0, usual - (present - self.begun[job.number])) for job in running)
        return (begun + usual * waiting) / self.at_once

    def _all(self, best: list[Job]) -> str:
        head = ["job", *self.swept, *self.sweep.objective, "status"]
        jobs = self.sweep.jobs
        name, direction = next(iter(self.sweep.objective.items()))
        title = ""
        if len(jobs) > MOST_ROWS:
            sign = -1 if direction == "maximize" else 1
            jobs = sorted(jobs, key=lambda job: sign * job.values.get(name, -sign * float("inf")))[:MOST_ROWS]
            title = f"the best {MOST_ROWS} of {len(self.sweep.jobs)} jobs\n"
        rows = []
        for job in jobs:
            given = dict(override.partition("=")[::2] for override in job.overrides)
            numbers = [f"{job.values[name]:.4f}" if name in job.values else "-" for name in self.sweep.objective]
            status = f"{job.status}, best" if job in best else job.status
            rows.append([str(job.number), *(_short(given.get(key, "-")) for key in self.swept), *numbers, status])
        return title + tables.align([head, *rows])

    def _erase(self) -> None:
        if self.shown:
            self.stream.write(f"\x1b[{self.shown}F\x1b[J")
            self.shown = 0


def best_of(sweep: Sweep) -> list[Job]:
    """What a search found: the one trial that is best, or with several objectives those that none beats in all."""
    if sweep.sweeper.get("name") != SEARCH:
        return []
    signs = [1 if direction == "maximize" else -1 for direction in sweep.objective.values()]
    measured = [
        job for job in sweep.jobs if job.status == "done" and all(name in job.values for name in sweep.objective)
    ]
    points = {
        job.number: [sign * job.values[name] for name, sign in zip(sweep.objective, signs, strict=True)]
        for job in measured
    }

    def is_beaten(job: Job) -> bool:
        own = points[job.number]
        return any(
            all(theirs >= mine for theirs, mine in zip(point, own, strict=True)) and point != own
            for point in points.values()
        )

    left = [job for job in measured if not is_beaten(job)]
    return left[:1] if len(sweep.objective) == 1 else left


def _training(job: Job, config_dir: str | None) -> str:
    """The command that trains with a job's values, as it is typed."""
    directory = ["--config-dir", config_dir] if config_dir else []
    return shlex.join(["attnpred", "train", *job.overrides, *directory, *packages.arguments()])


def _short(value: str) -> str:
    """A value as typed; a number that was drawn with fewer digits than it has."""
    try:
        return value if len(value) < DIGITS else f"{float(value):.4g}"
    except ValueError:
        return value


def _told(values: Mapping[str, float | None]) -> str:
    return "".join(f", {name} {number:.4g}" for name, number in values.items() if number is not None)
