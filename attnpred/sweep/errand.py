"""A job's command on whatever machine a launcher got it to: a process of its own there, as on the parent's machine."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

from attnpred.console.secrets import scrub
from attnpred.machine import processes
from attnpred.sweep.job import LOG, Job

PAUSE = 0.1  # seconds between two looks at the command; a longer wait would not hear that it should stop
LOST = -signal.SIGKILL  # the exit code of a job whose machine was lost, as often as it was tried


class Errand:
    """Runs the command, once or again after it was lost; needs nothing but storage that it shares with the parent."""

    def __init__(self, command: list[str], directory: str, place: Path, parent: processes.Known | None = None) -> None:
        """`directory` is where the command runs, `place` the job's own; with `parent` it ends, if that is here."""
        self.command, self.directory, self.place, self.parent = command, directory, place, parent
        self.child: Popen[bytes] | None = None

    def run(self) -> int:
        """To its end; its exit code."""
        starter = os.getppid()
        with (self.place / LOG).open("ab") as log:
            self.child = processes.start(self.command, self.directory, processes.environment(), log)
        while (code := self.child.poll()) is None:
            if self.parent is not None and not (os.getppid() == starter and self.parent.lives()):
                os._exit(1)  # the command's guard ends with this process, and the command with that
            try:
                time.sleep(PAUSE)
            except KeyboardInterrupt:  # how Ray, and on this machine submitit, take a job back
                self.stop()
        return code

    def stop(self) -> None:
        """Has the command save and leave."""
        if self.child is not None:
            self.child.terminate()

    __call__ = run

    def checkpoint(self) -> Any:
        """What submitit asks for when time is up or the place is taken: the job saves, and is queued again."""
        from submitit.helpers import DelayedSubmission

        self.stop()
        if self.child is not None:
            with suppress(ChildProcessError):
                # not `wait`, within which this signal may have come, and which holds a lock
                os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Errand(self.command, self.directory, self.place, self.parent))


def note(job: Job, error: Exception) -> None:
    """Where a job says itself what went wrong, for one that could not."""
    with (job.directory / LOG).open("a", encoding="utf-8") as log:
        log.write(f"{scrub(str(error))}\n")
