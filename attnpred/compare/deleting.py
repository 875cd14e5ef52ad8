"""Deleting what a run directory holds, by open directories: nothing that takes its place meanwhile is touched."""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnpred.errors import UserError
from attnpred.files import plain_json

# to go of a run directory, in this order: until then it is known as a run, and held
LAST = ("checkpoints", "metrics.json", "config.yaml", "run.json", ".ranks.lock", ".lock")
FURTHER = (".job.lock", ".ranks.lock")  # of a sweep's job, and of ranks whose launch was killed
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LARGEST = 2**22  # bytes of a run.json


@dataclass(frozen=True)
class Opened:
    """A directory and the one above it, as they were when they were opened."""

    path: Path
    own: int
    above: int

    def read(self, name: str) -> Any:
        """The content of a JSON file; UserError where it is none."""
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.own)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise ValueError("no file")
                return plain_json(file.read(LARGEST))
        except (OSError, ValueError, RecursionError):
            raise UserError(f"{self.path / name}: cannot be read, so it is no run's; restore the file") from None

    def replace(self, name: str, content: str) -> None:
        """Writes a file in one step."""
        draft = f".{name}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=self.own)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o666, dir_fd=self.own), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, name, src_dir_fd=self.own, dst_dir_fd=self.own)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While no other process can train the run, as by `Run.held`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(".lock", flags, 0o644, dir_fd=self.own)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise self._at_work() from None
            if any(_is_locked(self.own, name) for name in FURTHER):
                raise self._at_work()
            yield
        finally:
            os.close(handle)

    def _at_work(self) -> UserError:
        return UserError(f"{self.path}: is being trained by another process; wait for it, or stop it")

    @contextmanager
    def folder(self, name: str) -> Iterator[int | None]:
        """A directory inside; None where there is none, or a link in its place."""
        try:
            handle = os.open(name, DIRECTORY, dir_fd=self.own)
        except OSError:
            yield None
            return
        try:
            yield handle
        finally:
            os.close(handle)

    def remove(self) -> None:
        """Deletes the directory with all that it holds; what tells that it is a run goes last."""
        with os.scandir(self.own) as entries:
            names = [entry.name for entry in entries]
        for name in sorted(names, key=lambda name: LAST.index(name) if name in LAST else -1):
            if stat.S_ISDIR(os.stat(name, dir_fd=self.own, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=self.own)  # which follows no link, by descriptors as well
            else:
                os.unlink(name, dir_fd=self.own)
        there = os.stat(self.path.name, dir_fd=self.above, follow_symlinks=False)
        if os.path.samestat(there, os.fstat(self.own)):
            os.rmdir(self.path.name, dir_fd=self.above)


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Opens a resolved path part by part, each of which must be a directory and no link."""
    above, own = os.open("/", DIRECTORY), -1
    try:
        for part in path.parts[1:-1]:
            below = os.open(part, DIRECTORY | getattr(os, "O_PATH", 0), dir_fd=above)
            os.close(above)
            above = below
        own = os.open(path.name, DIRECTORY, dir_fd=above)
    except OSError:
        os.close(above)
        raise UserError(f"{path}: is no longer where it was found; look again") from None
    try:
        yield Opened(path, own, above)
    finally:
        os.close(own)
        os.close(above)


def others_below(run: Opened) -> Path | None:
    """The first place below a run that is another run's, is becoming one, is a sweep's, or is held by a process."""
    for folder, folders, names, handle in os.fwalk(".", dir_fd=run.own, follow_symlinks=False):
        if folder == ".":
            continue
        found = {*folders, *names}
        if found & {"run.json", "sweep.json"} or {"config.yaml", "checkpoints"} <= found or _is_held(handle, found):
            return run.path / folder
    return None


def _is_held(directory: int, names: set[str]) -> bool:
    return any(_is_locked(directory, name) for name in names & {".lock", *FURTHER})


def _is_locked(directory: int, name: str) -> bool:
    try:
        handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    return is_locked(handle)


def is_locked(handle: int) -> bool:
    """True where another process holds the lock of this open file. Closes the file."""
    try:
        # shared: two that look at once do not see one another
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
