"""A job's command on whatever machine a launcher got it to: a process of its own there, as on the parent's machine."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnpred import processes
from attnpred.sweep.job import LOG


class Errand:
    """Runs the command, once or again after it was lost; needs nothing but storage that it shares with the parent."""

    def __init__(self, command: list[str], directory: str, place: Path) -> None:
        """`directory` is where the command runs, `place` the job's own."""
        self.command, self.directory, self.place = command, directory, place
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def run(self) -> int:
        """To its end; its exit code."""
        if self.stopped:
            return 128 + signal.SIGTERM
        with (self.place / LOG).open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                env=processes.environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.leave_with_parent(),
            )
        try:
            return self.child.wait()
        except KeyboardInterrupt:  # how submitit takes back what it started on this machine
            self.stop()
            return self.child.wait()

    def stop(self) -> None:
        """Has the command save and leave; one that has not begun never will."""
        self.stopped = True
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
        return DelayedSubmission(Errand(self.command, self.directory, self.place))
