"""Processes that descend from one, whatever became of those between: all have its mark in their environment."""

import os
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

NAME = "ATTNPRED_SCRIPTS_MARK"
ROOT = Path(__file__).parents[1]


class Tree:
    """A command, and all that comes of it."""

    def __init__(self, command: list[str], log: Path | None = None, **further: str) -> None:
        self.mark = uuid.uuid4().hex
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, NAME: self.mark, **further}
        with (log or Path(os.devnull)).open("ab") as stream:
            self.top = Popen(command, env=own, stdin=DEVNULL, stdout=stream, stderr=stream, start_new_session=True)

    def alive(self) -> list[int]:
        return marked(self.mark)

    def kill(self) -> None:
        """The command alone, as the system does when memory runs out."""
        self.top.send_signal(signal.SIGKILL)
        self.top.wait()

    def clear(self) -> None:
        """Ends whatever is left."""
        for process in self.alive():
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        self.top.wait()

    def gone_after(self, patience: float = 60.0) -> float:
        return gone_after(self.alive, patience)


def marked(mark: str) -> list[int]:
    """Living processes with the mark in the environment that they were started with."""
    sign, found = f"{NAME}={mark}".encode(), []
    for name in os.listdir("/proc"):  # noqa: PTH208
        with suppress(OSError):
            if name.isdigit() and sign in Path(f"/proc/{name}/environ").read_bytes() and is_alive(int(name)):
                found.append(int(name))
    return found


def is_alive(process: int) -> bool:
    """True where it is there and no zombie, which waits to be asked for its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone_after(alive: Callable[[], list[int]], patience: float) -> float:
    """Waits until none is left; the seconds that took, more than `patience` where some stay."""
    begun = time.monotonic()
    while alive() and time.monotonic() - begun <= patience:
        time.sleep(0.02)
    return time.monotonic() - begun
