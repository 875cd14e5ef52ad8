"""Child processes: several ranks of one run, or the jobs of a sweep. They never get our command line."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen
from types import FrameType
from typing import IO

from attnpred.config import packages
from attnpred.config.schema import PACKAGE
from attnpred.errors import Interrupted, UserError

PR_SET_PDEATHSIG = 1  # of Linux
UNTOLD = 3  # exit code of a rank in which a package's code failed; run.json says how


def spread(module: str, arguments: list[str], count: int) -> int:
    """Runs `python -m module` as so many ranks of one process group; ends them all when one fails.

    Returns 0, the code of a user's mistake, or that of a failure in a package; whoever calls has to tell of it.
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # of a sweep's job, its share of the cores
    threads = max(1, int(allowed or os.cpu_count() or 1) // count)
    launcher = ["-m", "attnpred.machine.torchrun", "--standalone", f"--nproc-per-node={count}", "-m", module]
    code = run([sys.executable, *launcher, *arguments], {"OMP_NUM_THREADS": str(threads)})
    if code not in (0, UserError.exit_code, UNTOLD):
        raise RuntimeError(f"a rank of the run failed (exit code {code}); its error stands above")
    return code


def leave_with_parent(parent: int | None = None) -> Callable[[], None]:
    """To be called in a child before its program begins: it ends in order when its parent, this process, is killed.

    Left alone it would train on, and nobody would know.
    """
    parent = parent or os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def leave_with() -> None:
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until training knows what it means; torchrun never does
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # which died meanwhile
                os.kill(os.getpid(), signal.SIGTERM)

    return leave_with


def environment() -> dict[str, str]:
    """Of a child that finds this package: a checkout may be run from any directory without being installed.

    But nothing is imported from where it happens to be started, which may be a directory from a stranger, unless a
    package that the user named lies there.
    """
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **packages.environment(), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def start(command: list[str], directory: str, env: dict[str, str], log: IO[bytes] | None) -> Popen[bytes]:
    """A child that says nothing but in the log, or where we do; it ends with us.

    It has a session of its own: an interrupt at the terminal reaches it once, through us.
    """
    return Popen(
        command,
        env=env,
        cwd=directory,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=log,
        start_new_session=True,
        preexec_fn=leave_with_parent(),
    )


def run(command: list[str], further: dict[str, str] | None = None) -> int:
    """Runs a child to its end, with `further` environment, hands signals on to it, and returns its exit code.

    An interrupt at the terminal reaches the child by itself; a termination reaches only us, so it is passed on, as is
    the wish that all that trains be saved.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            for process in (child.pid, *_children(child.pid)):
                os.kill(process, number)
            return
        received.append(number)
        if number == signal.SIGTERM:
            child.terminate()

    child = Popen(command, env={**environment(), **(further or {})}, preexec_fn=leave_with_parent())
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


def _children(process: int) -> list[int]:
    """Those it started itself, where the system tells."""
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
