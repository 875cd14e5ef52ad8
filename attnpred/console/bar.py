"""How far a long piece of work is: one living line on a terminal, a line now and then elsewhere."""

import sys
from time import monotonic

from attnpred.console.say import say
from attnpred.console.tables import clock

REFRESH, APART = 0.2, 10.0  # seconds between two lines, on a terminal and elsewhere
WIDTH = 24  # characters of the bar


class Bar:
    def __init__(self, what: str, total: int | None, done: int = 0) -> None:
        """`done`: how many there were before, which says nothing of the speed."""
        self._what, self._total = what, total
        self._done = self._first = done
        self._began = self._shown = monotonic()
        self._live = sys.stderr.isatty()
        self._open = False

    def add(self, count: int) -> None:
        self._done += count
        now = monotonic()
        if now - self._shown < (REFRESH if self._live else APART):
            return
        self._shown = now
        self._open = self._live
        end = "\x1b[K\r" if self._live else "\n"
        print(self.line(now - self._began), end=end, file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        speed = (self._done - self._first) / max(seconds, 1e-9)
        said = f"{self._what}: {self._done:,}"
        if not self._total:
            return f"{said}  {speed:,.0f} a second"
        share = min(self._done / self._total, 1.0)
        drawn = "█" * round(share * WIDTH) + "░" * (WIDTH - round(share * WIDTH))
        left = f", {clock((self._total - self._done) / speed)} left" if speed and share < 1 else ""
        return f"{said} of {self._total:,} {drawn}  {speed:,.0f} a second{left}"

    def end(self) -> None:
        """Leaves the last line standing."""
        if self._open:
            print("\x1b[K", end="", file=sys.stderr)
        say(self.line(monotonic() - self._began))
