"""Where a sweep's jobs run. Each way is a file in `launchers/` and a YAML in conf/hydra/launcher."""

from typing import Protocol

from attnpred.sweep.job import Job


class Executor(Protocol):
    """Made of its own `LauncherConfig`; the sweep asks for at most `n_jobs` jobs at once.

    A job's directory exists when it is started. A job is started again in the directory of an earlier attempt by the
    same command, and goes on where that was last saved, so that an executor may start a lost job anew by itself.
    """

    def start(self, job: Job, command: list[str], directory: str) -> None:
        """Starts the command, in the working directory; returns at once."""

    def finished(self, timeout: float) -> list[tuple[Job, int]]:
        """Jobs that have ended since the last call, with their exit codes (-N: killed by signal N).

        Waits at most so many seconds for the first.
        """

    def stop(self) -> None:
        """Asks every running job to save and leave, as SIGTERM does; `finished` still says how each ended."""

    def close(self) -> None:
        """Lets go of whatever is held; no job runs any more."""
