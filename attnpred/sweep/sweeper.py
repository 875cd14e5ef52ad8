"""What decides which jobs a sweep is made of. Each is a file in `sweepers/` and a YAML in conf/hydra/sweeper."""

from typing import Protocol

from attnpred.config.options import Config, SweeperConfig
from attnpred.sweep.job import Job
from attnpred.sweep.state import Direction, Sweep


class Sweeper(Protocol):
    """Made of its own `SweeperConfig`, the overrides and the directory of further config files.

    Being made it checks whatever can be wrong, and leaves nothing behind. It is asked for a job whenever one may start.
    """

    config: SweeperConfig
    first: Config  # of a job, which tells what all have in common

    def objective(self) -> dict[str, Direction]:
        """What the sweep looks at of each job, and which way is better."""

    def begin(self, sweep: Sweep) -> None:
        """Takes up the sweep, new or as it was left: `jobs` are in its hands."""

    def next(self) -> Job | None:
        """A job to be started now; None where there is none, or none before another ends."""

    def watch(self, job: Job) -> None:
        """Looks at a running job, now and then."""

    def ended(self, job: Job) -> None:
        """Takes note of how a job ended; its status and values are known."""

    def total(self) -> int:
        """How many jobs there are in all."""

    def close(self) -> None:
        """The sweep has ended or was interrupted: writes what there is to say."""
