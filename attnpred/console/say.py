"""What a person reads while data is prepared: lines on stderr, so that stdout stays a program's."""

import sys
import time
from collections.abc import Iterator
from typing import Any

from attnpred.console.secrets import hide, printable

SECONDS_BETWEEN_LINES = 3.0


def say(text: str) -> None:
    # as one piece: print writes a line's end on its own where Python does not buffer, and lines of processes would mix
    sys.stderr.write("\n".join(map(printable, hide(text).split("\n"))) + "\n")
    sys.stderr.flush()


def counted(what: str, chunks: Iterator[list[list[Any]]], total: int | None = None) -> Iterator[list[list[Any]]]:
    """Passes chunks of columns on, and shows the rows so far every few seconds, in place where there is a terminal.

    With the `total` of rows it shows how long the rest will take.
    """
    rows, open_line = 0, False
    start = shown = time.monotonic()
    try:
        for chunk in chunks:
            yield chunk
            rows += len(chunk[0])
            if time.monotonic() - shown < SECONDS_BETWEEN_LINES:
                continue
            shown, open_line = time.monotonic(), sys.stderr.isatty()
            far = f"{rows:,} rows"
            if total is not None and 0 < rows <= total:
                left = (shown - start) * (total - rows) / rows
                far = f"{rows:,} of {total:,} rows, {left:,.0f} s left   "
            print(f"{what}: {far}", end="\r" if open_line else "\n", file=sys.stderr, flush=True)
    finally:
        if open_line:
            say("")
