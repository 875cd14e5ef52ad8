"""What a person reads while data is prepared: lines on stderr, so that stdout stays a program's."""

import sys
import time
from types import TracebackType
from typing import Self

SECONDS_BETWEEN_LINES = 3.0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Counts rows; from a few seconds on it shows the count, on one changing line where stderr is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._shown = time.monotonic()
        self._open_line = False

    def step(self, rows: int) -> None:
        self._count += rows
        now = time.monotonic()
        if now - self._shown < SECONDS_BETWEEN_LINES:
            return
        self._shown = now
        line = f"{self._what}: {self._count:,} rows"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
            self._open_line = True
        else:
            say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open_line:
            say("")
