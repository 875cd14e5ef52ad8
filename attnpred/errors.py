"""The ways a run ends early: the user's mistake, numbers or memory that run out, a signal, and a sweep's verdict."""

import difflib
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MOST_TOLD = 20  # mistakes of one command


class UserError(Exception):
    """A mistake of the user's: shown as one line that names value, place and remedy."""

    exit_code = 2

    @property
    def lines(self) -> list[str]:
        return [str(self)]


class Mistakes:
    """Those of one command, gathered so that they are told together."""

    def __init__(self) -> None:
        self.found: list[UserError] = []

    @property
    def count(self) -> int:
        return len(self.found)

    def add(self, error: UserError) -> None:
        self.found.append(error)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Goes on after a mistake; but where a package is missing nothing more can be said."""
        try:
            yield
        except Untrusted:
            raise
        except UserError as error:
            self.add(error)

    def tell(self) -> None:
        """Raises what was found, if anything was."""
        told = list(dict.fromkeys(line for error in self.found for line in error.lines))
        if len(told) == 1:
            raise self.found[0]
        if told:
            raise Several(told)


class Several(UserError):
    """More than one mistake of one command."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        left = len(lines) - MOST_TOLD
        self._lines = [*lines[:MOST_TOLD], *([f"and {left:,} more"] if left > 0 else [])]

    @property
    def lines(self) -> list[str]:
        return self._lines


class NotInstalled(UserError):
    """What was asked for needs a package that an extra of attnpred brings."""

    def __init__(self, place: str, package: str, extra: str) -> None:
        super().__init__(f"{place}: {package} is not installed; pip install -e '.[{extra}]' in the checkout")


class Untrusted(UserError):
    """A config names what is in a package that the user did not name."""

    def __init__(self, what: str, package: str, version: str | None = None) -> None:
        made_with = f"{package} {version}" if version else package
        super().__init__(f"{what}: made with {made_with}; give --package {package} if you trust it")
        self.what, self.package = what, package


class Theirs(Exception):
    """A mistake in the code of a package that the user named; `text` is the traceback of that code alone."""

    def __init__(self, text: str, exit_code: int = 2) -> None:
        super().__init__(text.strip().splitlines()[-1])
        self.text, self.exit_code = text, exit_code


class BadInput(UserError):
    """One of the inputs that were given cannot be read; `position` counts them from 0."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.position = position


class BadRow(UserError):
    """A row of the data that cannot be used; whoever knows the files adds which one holds it."""

    def __init__(self, what: str, row: int) -> None:
        super().__init__(what)
        self.row = row


class Diverged(UserError):
    """A loss or gradient is NaN or infinite."""

    def __init__(self, what: str, step: int, remedy: str) -> None:
        super().__init__(what + remedy)
        self.what, self.step = what, step


class OutOfMemory(UserError):
    """A batch did not fit."""

    def __init__(self, what: str, step: int, remedy: str) -> None:
        super().__init__(what + remedy)
        self.what, self.step = what, step


class Interrupted(Exception):
    """A signal asked the run to stop; `left` says what of its work was saved, and how to go on."""

    def __init__(self, signal_number: int, left: str = "") -> None:
        said = "interrupted" if signal_number == signal.SIGINT else "terminated"
        super().__init__(f"{said}: {left}" if left else said)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class Pruned(Exception):
    """The sweep that the run belongs to found it not worth going on with."""


def suggest(wrong: str, names: list[str]) -> str:
    """`; did you mean …?` for the nearest of the names, by its whole path or by its last part."""
    last = wrong.rpartition(".")[2]
    same_end = [n for n in names if n.rpartition(".")[2] == last]
    by_end = {n.rpartition(".")[2]: n for n in reversed(names)}
    close = difflib.get_close_matches(wrong, names, 1, 0.6) or [
        by_end[e] for e in difflib.get_close_matches(last, by_end, 1, 0.6)
    ]
    best = (same_end or close)[:1]
    return f"; did you mean {best[0]}?" if best else ""
