"""The ways a run ends early: the user's mistake, numbers or memory that run out, a signal, and a sweep's verdict."""

import difflib


class UserError(Exception):
    """A mistake of the user's: shown as one line that names value, place and remedy."""

    exit_code = 2


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
    """A signal asked the run to stop; its work has been saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
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
