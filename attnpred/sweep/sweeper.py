"""What decides which jobs a sweep is made of. Each is a file in `sweepers/` and a YAML in conf/hydra/sweeper."""

from typing import Protocol

from attnpred.sweep.job import Job


class Sweeper(Protocol):
    """Made of its own `SweeperConfig` and the sweep, whose `jobs` it adds to; asked again whenever a job may start."""

    def next(self) -> Job | None:
        """A job to be started now; None where there is none, or none before another ends."""

    def watch(self, job: Job) -> None:
        """Looks at a running job, now and then."""

    def ended(self, job: Job) -> None:
        """Takes note of how a job ended; its status and values are known."""

    def total(self) -> int:
        """How many jobs there are in all."""

    def close(self) -> None:
        """The sweep ends, or is interrupted: writes what there is to say, and lets go of what is held."""
