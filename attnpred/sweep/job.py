"""A job of a sweep: one run, in a process and a directory of its own."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from attnpred.config import packages

Status = Literal["waiting", "running", "done", "failed", "interrupted", "pruned"]
OVER: tuple[Status, ...] = ("done", "failed", "pruned")  # nothing is left to do of these
LOG = "job.log"  # in the job's directory, where several run at once
PROGRAM = [sys.executable, "-m", "attnpred"]  # tests and measurements put another in its place


@dataclass
class Job:
    """What is known of a job. Whoever starts it needs its command and its directory, and returns its exit code."""

    number: int
    overrides: list[str]
    directory: Path  # of its run; whatever is there already, the job goes on with
    status: Status = "waiting"
    exit_code: int | None = None
    values: dict[str, float] = field(default_factory=dict)  # what the sweep looks at: objective → value
    error: str | None = None  # in one line
    started: str | None = None
    ended: str | None = None
    trial: int | None = None  # its number in a study
    devices: int | None = None  # that it asks for; None leaves the choice to the launcher

    def command(self, extra_dir: str | None = None) -> list[str]:
        """What starts the job, and what has it go on; needs nothing of its parent."""
        further = ["--config-dir", extra_dir] if extra_dir else []
        further += packages.arguments()
        return [*PROGRAM, "train", *self.overrides, "--run-dir", str(self.directory), *further]
