"""Standard output, which programs read: it may be full, or nobody reads on."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attnpred.console.secrets import printable
from attnpred.console.streams import is_unicode
from attnpred.errors import UserError


def write_json(value: Any) -> None:
    """An object a line."""
    text = json.dumps(value, ensure_ascii=not is_unicode(sys.stdout))
    # JSON leaves as it is what a terminal may obey, and halves of characters, which no file can hold
    write(text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))


def write(line: str) -> None:
    """Hands a line on at once."""
    with _told():
        print(line, flush=True)


def show(text: str) -> None:
    """Lines for people, of what may come from a stranger: a terminal shows them, and obeys nothing in them."""
    write("\n".join(map(printable, text.split("\n"))))


def flush() -> None:
    """Hands on what was printed so far."""
    with _told():
        sys.stdout.flush()


@contextmanager
def _told() -> Iterator[None]:
    """UserError where nothing can be written, BrokenPipeError where the reader has left."""
    try:
        yield
    except OSError as error:
        # what still waits goes nowhere, or the interpreter would complain of it at its end
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            raise
        raise UserError(
            f"standard output: cannot be written ({error.strerror}); make room, or write elsewhere"
        ) from None
