"""The ways a run ends early: the user's mistake, numbers or memory that run out, a signal, and a sweep's verdict."""


class UserError(Exception):
    """A mistake of the user's: shown as one line that names value, place and remedy."""

    exit_code = 2


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
    """A loss or gradient is no number any more."""

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
