"""The two ways a run ends early: the user's mistake, and a signal."""


class UserError(Exception):
    """A mistake of the user's: shown as one line that names value, place and remedy; exit code 2."""


class Interrupted(Exception):
    """A signal asked the run to stop; its work has been saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
