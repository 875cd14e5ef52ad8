"""Stands between a process and its child, so that nothing is left behind: `guard.py PARENT [--log] COMMAND…`.

- The kernel kills the child, from its first instruction on, when this process dies.
- When the parent dies, the child is asked to leave, and killed `GRACE` seconds later, with all that it has started.
- When the child dies, what it has left behind ends in the same way.
- Signals are handed on, once each, and it ends as the child did.
- With --log, what the child and all below it say on stderr comes by way of this process, which keeps secrets out of it.

The standard library alone, and little of it (`python -I -S`): one such process is started for every child. Linux tells
who descends from whom; elsewhere the child alone is looked after.
"""

import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

LOG = "--log"
SECRETS = f"{os.path.dirname(__file__)}/../console/secrets.py"  # noqa: PTH120  needs nothing of its package
LONGEST = 2**20  # characters of a line that is hidden as one piece

GRACE = 3.0  # seconds to save and leave
KILLING = 1.5  # seconds in which the killed must be gone; who hangs in the kernel is left to it
PAUSE = 0.1  # seconds between two looks at the parent
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of Linux
HANDED_ON = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)  # which Python ignores, and another program should not

Prctl = Callable[[int, int], object]


class Log:
    """Stderr of the child on its way to our own, where it is kept: whole lines, without secrets."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.waiting = b""  # for the rest of its line
        self.hide: Callable[[str], str] | None = None
        self.is_open = True

    def hand_on(self) -> bool:
        """What has come, but no more than a pipe holds: others wait too. False where there was nothing."""
        try:
            piece = os.read(self.reading, 2**16)
        except BlockingIOError:
            return False
        self.is_open = bool(piece)  # else nobody can write any more
        self.waiting += piece
        whole, end, rest = self.waiting.rpartition(b"\n")
        if end or len(rest) > LONGEST:
            self.waiting = rest if end else b""
            self._write(whole + end or rest)
        return self.is_open

    def close(self) -> None:
        while self.hand_on():
            pass
        self._write(self.waiting)

    def _write(self, said: bytes) -> None:
        with suppress(Exception):  # a full disk, a package that is just replaced: the work goes on without a log
            self.hide = self.hide or hider()
            hidden = self.hide(said.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            while hidden:
                hidden = hidden[os.write(2, hidden) :]


def hider() -> Callable[[str], str]:
    """What takes secrets out of a text; loaded for the first one alone, since it takes longer than all else here."""
    from importlib.util import module_from_spec, spec_from_file_location

    found = spec_from_file_location("attnpred_secrets", SECRETS)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    hide: Callable[[str], str] = module.scrub
    return hide


class Guard:
    def __init__(self, parent: int, command: list[str], log: Log | None = None) -> None:
        self.parent, self.command, self.log = parent, command, log
        self.heard: list[int] = []
        self.child = 0
        self.status: int | None = None  # of the child, when it has ended
        self.asked_child = self.asked_rest = False  # to leave
        self.deadline = float("inf")

    def run(self) -> NoReturn:
        """Until neither child nor descendant is left."""
        prctl: Prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: None
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans among the descendants come to this process
        woken = self._listen()
        if os.getppid() != self.parent:
            sys.exit(128 + signal.SIGTERM)  # it died meanwhile
        self._start(prctl)
        while True:
            self._reap()
            if self.status is not None and self._is_alone():
                self._end()
            if os.getppid() != self.parent and not self.asked_child:
                self.asked_child = True
                self._ask([self.child])
            if time.monotonic() >= self.deadline:
                self._kill()
            heard, self.heard = self.heard, []
            for number in heard:
                self._hand_on(number)
            self._wait(woken)

    def _wait(self, woken: int) -> None:
        """For a signal, for something that the child says, or until the parent is to be looked at again."""
        log = self.log if self.log is not None and self.log.is_open else None
        ready, _, _ = select.select([woken] if log is None else [woken, log.reading], [], [], PAUSE)
        drain(woken)
        if log is not None and log.reading in ready:
            log.hand_on()

    def _end(self) -> NoReturn:
        if self.log is not None:
            self.log.close()
        end_as(self.status if self.status is not None else signal.SIGKILL)

    def _listen(self) -> int:
        """Has signals noted; the descriptor that is readable when one has come."""
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in HANDED_ON:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return woken

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)

    def _start(self, prctl: Prctl) -> None:
        own = os.getpid()
        handled = [n for n in (*HANDED_ON, signal.SIGCHLD) if signal.getsignal(n) not in (signal.SIG_IGN, None)]
        signal.pthread_sigmask(
            signal.SIG_BLOCK, handled
        )  # one that comes to the child now would be noted there, and lost
        self.child = os.fork()
        if self.child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
            if self.log is not None:
                os.close(self.log.writing)
            return
        try:
            if self.log is not None:
                os.dup2(self.log.writing, 2)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own:
                os._exit(128 + signal.SIGTERM)
            os.setsid()  # a signal at the terminal reaches it once, through this process
            for number in (*handled, *PYTHONS):
                signal.signal(number, signal.SIG_DFL)
            if hasattr(signal, "SIGUSR1"):
                signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until training knows what it means; torchrun never does
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
            os.execvp(self.command[0], self.command)
        except OSError as error:
            print(f"error: {self.command[0]}: cannot be started ({error.strerror})", file=sys.stderr, flush=True)
        os._exit(127)

    def _reap(self) -> None:
        """Takes note of who has ended, orphans included."""
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not ended:
                return
            if ended == self.child:
                self.status = status

    def _is_alone(self) -> bool:
        """True where the child, which has ended, left nobody behind; whoever it left is asked to leave."""
        left = descendants(os.getpid())
        if left and not self.asked_rest:
            self.asked_rest = True
            self._ask(left)
        return not left

    def _ask(self, processes: list[int]) -> None:
        """To leave in time; the first time of all counts."""
        self.deadline = min(self.deadline, time.monotonic() + GRACE)
        for process in processes:
            send(process, signal.SIGTERM)

    def _kill(self) -> NoReturn:
        """Ends all that descend from this process, and then itself."""
        last = time.monotonic() + KILLING
        while time.monotonic() < last:
            left = descendants(os.getpid())
            if self.status is None and self.child not in left:
                left.append(self.child)  # where nobody tells of descendants
            for process in left:
                send(process, signal.SIGKILL)
            time.sleep(0.01)
            self._reap()
            if self.status is not None and not descendants(os.getpid()):
                break
        self._end()

    def _hand_on(self, number: int) -> None:
        """To the child; the wish to save to its children too: torchrun, which starts the ranks, does not hand it on."""
        if self.status is not None:
            return
        send(self.child, number)
        if number not in (signal.SIGINT, signal.SIGTERM):
            for process, parent in parents().items():
                if parent == self.child:
                    send(process, number)


def parents() -> dict[int, int]:
    """The parent of every living process, where the system tells."""
    found = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208  pathlib takes longer to import than all else here
    except OSError:
        return {}
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                state, parent = file.read().rpartition(b")")[2].split()[:2]  # behind the program's name
        except (OSError, ValueError):
            continue  # gone meanwhile
        if state not in (b"Z", b"X"):
            found[int(name)] = int(parent)
    return found


def descendants(process: int) -> list[int]:
    """All that live and were started by it, or by one of these."""
    children: dict[int, list[int]] = {}
    for one, parent in parents().items():
        children.setdefault(parent, []).append(one)
    found, waiting = [], [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def send(process: int, number: int) -> None:
    with suppress(OSError):  # gone meanwhile
        os.kill(process, number)


def drain(handle: int) -> None:
    with suppress(BlockingIOError):
        while os.read(handle, 4096):
            pass


def end_as(status: int) -> NoReturn:
    """As the child did: with its exit code, or by its signal, but without a second dump of memory."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


if __name__ == "__main__":
    kept = sys.argv[2] == LOG
    Guard(int(sys.argv[1]), sys.argv[2 + kept :], Log() if kept else None).run()
