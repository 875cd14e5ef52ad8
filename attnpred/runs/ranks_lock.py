"""The lock of the ranks that a launch has started: should it be killed, they may save for some seconds more."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from attnpred.console.say import say

NAME = ".ranks.lock"  # in the run directory


@contextmanager
def at_work(run: Path) -> Iterator[None]:
    """While this rank trains the run. The first alone writes there, and has the lock."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    with FileLock(run / NAME):
        yield


def await_end(run: Path) -> None:
    """Returns when no rank of an earlier launch is left; its own guard ends each (machine/guard.py)."""
    if not (run / NAME).is_file():
        return
    lock = FileLock(run / NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"{run}: ranks of an earlier launch are leaving; waiting for them")
        lock.acquire()
    lock.release()
