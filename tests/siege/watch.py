"""The files, programs and connections that this process touches while an input is tried, by the interpreter's audit.

What libraries open in C or Rust is not heard here: the oracle looks at the files around the place as well.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGES = {  # events, and which of their arguments are paths; the argument that follows may say where these begin
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.truncate", "os.utime"), (0,)),
    **dict.fromkeys(("os.rename", "os.link"), (0, 1)),
    "os.symlink": (1,),
    "shutil.rmtree": (0,),
}
GUARDED = 5  # words before the command itself: python -I -S …/guard.py PARENT
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")
REACHES = ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PRIVATE = ("/etc/passwd", "/etc/shadow", str(Path.home() / ".ssh"))


class Watch:
    """`found` lists what must not be."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.own: tuple[str, ...] = ()  # where all is allowed
        self.foreign: tuple[str, ...] = ()  # where nothing is, not even to read
        self.programs: tuple[str, ...] = ()  # that may be started, by their whole command lines' beginnings
        self.armed = False
        self._inside = False
        sys.addaudithook(self._hear)

    @contextmanager
    def over(self, own: tuple[Path, ...], foreign: tuple[Path, ...], programs: tuple[str, ...] = ()) -> Iterator[None]:
        self.found = []
        self.own = tuple(map(os.path.realpath, own))
        self.foreign, self.programs = tuple(map(os.path.realpath, foreign)), programs
        self.armed = True
        try:
            yield
        finally:
            self.armed = False

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.armed or self._inside:
            return
        if event != "open" and event not in CHANGES and event not in STARTS and event not in REACHES:
            return
        self._inside = True
        try:
            self._judge(event, given)
        finally:
            self._inside = False

    def _judge(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if isinstance(path, int):
                return
            place = _real(path)
            if (flags or 0) & WRITING and not self._is_own(place) and place != "/dev/null":
                self.found.append(f"open to write {place}")
            elif place.startswith(PRIVATE) or (_below(place, self.foreign) and not self._is_own(place)):
                self.found.append(f"open to read {place}")
        elif event in CHANGES:
            for number in CHANGES[event]:
                handle = given[-1] if event != "os.truncate" and isinstance(given[-1], int) else -1
                place = _real(given[number], handle, follow=False)
                if not self._is_own(place):
                    self.found.append(f"{event} {place}")
        elif event in STARTS:
            words = given[1][GUARDED:] if _is_guarded(given[1]) else given[1]
            told = " ".join(map(os.fsdecode, words)) if isinstance(words, list | tuple) else str(given)
            if not told.startswith(self.programs or ("\0",)):
                self.found.append(f"{event} {told[:200]}")
        else:
            self.found.append(f"{event} {str(given[1:] or given)[:200]}")

    def _is_own(self, place: str) -> bool:
        return _below(place, self.own)


def _is_guarded(words: Any) -> bool:
    """True where a command is started by way of attnpred's guard, which ends it with its parent."""
    return isinstance(words, list | tuple) and len(words) > GUARDED and str(words[GUARDED - 2]).endswith("/guard.py")


def _below(place: str, directories: tuple[str, ...]) -> bool:
    return any(place == one or place.startswith(f"{one}/") for one in directories)


def _real(path: Any, directory: int = -1, *, follow: bool = True) -> str:
    """Where a path leads; what is deleted or made under a name is in that name's directory, whatever it leads to."""
    if isinstance(path, int):
        return os.path.realpath(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    if directory >= 0 and not os.path.isabs(text):  # noqa: PTH117  called often
        text = f"/proc/self/fd/{directory}/{text}"
    if follow:
        return os.path.realpath(text)
    folder, name = os.path.split(text.rstrip("/"))
    return os.path.join(os.path.realpath(folder or "."), name)  # noqa: PTH118
