"""Waiting for what another process does."""

import time
from collections.abc import Callable
from subprocess import Popen
from typing import Any


def wait_for(condition: Callable[[], Any], child: Popen | None = None, *, seconds: float = 120) -> None:
    """Fails as soon as the child that should bring it about has ended, with what it said where that can be read."""
    deadline = time.monotonic() + seconds
    while not condition():
        if child is not None and child.poll() is not None:
            said = child.stderr.read() if child.stderr is not None else ""
            raise AssertionError(f"ended before its time: {said}")
        assert time.monotonic() < deadline, "never got there"
        time.sleep(0.02)
