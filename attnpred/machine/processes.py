"""Child processes: several ranks of one run, or the jobs of a sweep. They never get our command line.

Each has a guard (guard.py) between itself and us, so that none outlives its parent by more than some seconds.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from types import FrameType
from typing import IO

from attnpred.config import packages
from attnpred.config.schema import PACKAGE
from attnpred.errors import Interrupted, UserError
from attnpred.machine import threads
from attnpred.machine.guard import LOG

BEGUN = 18  # where /proc tells when a process began, counted behind its state
GUARD = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))]
UNTOLD = 3  # exit code of a rank in which a package's code failed; run.json says how


@dataclass(frozen=True)
class Known:
    """A process of this machine, which is not mistaken for a later one of its number."""

    number: int
    begun: str

    @classmethod
    def this(cls) -> Known:
        return cls(os.getpid(), cls._begun(os.getpid()))

    def lives(self) -> bool:
        return self._begun(self.number) == self.begun

    @staticmethod
    def _begun(number: int) -> str:
        """Empty where it has ended, or the system does not tell."""
        try:
            state, *rest = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if state in "ZX" else rest[BEGUN]


def guarded(command: list[str], *, keeps_log: bool = False) -> list[str]:
    """The command as a child of this process alone, to be started at once; it has a session of its own.

    With `keeps_log`, its stderr is one that others may read later: secrets are kept out of it.
    """
    return [*GUARD, str(os.getpid()), *([LOG] if keeps_log else []), *command]


def spread(module: str, arguments: list[str], count: int) -> int:
    """Runs `python -m module` as so many ranks of one process group; ends them all when one fails.

    Returns 0, the code of a user's mistake, or that of a failure in a package; whoever calls has to tell of it.
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # of a sweep's job, its share of the cores
    share = max(1, int(allowed or threads.cores()) // count)
    command = [sys.executable, "-m", "attnpred.machine.torchrun", str(count), module, *arguments]
    code = run(command, {"OMP_NUM_THREADS": str(share)})
    if code not in (0, UserError.exit_code, UNTOLD):
        raise RuntimeError(f"a rank of the run failed (exit code {code}); its error stands above")
    return code


def environment() -> dict[str, str]:
    """Of a child that finds this package: a checkout may be run from any directory without being installed.

    But nothing is imported from where it happens to be started, which may be a directory from a stranger, unless a
    package that the user named lies there.
    """
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **packages.environment(), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def start(command: list[str], directory: str, env: dict[str, str], log: IO[bytes] | None) -> Popen[bytes]:
    """A child that says nothing but in the log, or where we do; it ends with us.

    Neither it nor its guard hears an interrupt at the terminal: that reaches it once, through us.
    """
    return Popen(
        guarded(command, keeps_log=log is not None),
        env=env,
        cwd=directory,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=log,
        start_new_session=True,
    )


def run(command: list[str], further: dict[str, str] | None = None) -> int:
    """Runs a child to its end, with `further` environment, hands signals on to it, and returns its exit code.

    An interrupt at the terminal reaches its guard by itself; a termination reaches only us, so it is passed on, as is
    the wish that all that trains be saved.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            child.send_signal(number)
        if number in (signal.SIGINT, signal.SIGTERM):
            received.append(number)

    child = Popen(guarded(command), env={**environment(), **(further or {})})
    handed_on = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    previous = {number: signal.signal(number, note) for number in handed_on}
    try:
        code = child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted(received[0])
    return code


def answer(command: list[str]) -> str | None:
    """The output of a program; None where it is not there, or fails."""
    with Popen(guarded(command), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, text=True) as child:
        told, _ = child.communicate()
    return told if child.returncode == 0 else None
