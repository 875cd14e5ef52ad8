"""The sweep directory: what was asked, and how each job stands, in `sweep.json`; the jobs' runs lie below it."""

from __future__ import annotations

import platform
import re
import shutil
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from attnpred.config import untrusted
from attnpred.config.packages import trusted
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import write_json
from attnpred.runs.run import closed, fresh
from attnpred.sweep import record, seal
from attnpred.sweep.job import OVER, Job
from attnpred.sweep.kept import at_home, kept, variables
from attnpred.version import __version__

FILE = "sweep.json"
# what says how a sweep runs, not what it is; another of these goes on with the same sweep
HOW = ("resume", "hydra/launcher", "hydra.launcher")
Direction = Literal["maximize", "minimize"]
CALM = 50  # how many times longer than it takes to write the file it is left alone


@dataclass
class Sweep:
    """What the parent knows, brought to disk at every change; the jobs' own directories say what it missed."""

    path: Path
    overrides: list[str]  # as typed; the file has no secrets
    config_dir: str | None
    directory: str  # that relative names start from
    objective: dict[str, Direction]
    packages: list[str] = field(default_factory=list)  # that were trusted; a file's word is not enough to do so again
    launcher: dict[str, Any] = field(default_factory=dict)
    sweeper: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    started: str = ""
    ended: str | None = None
    resumed: list[str] = field(default_factory=list)
    host: str = ""
    version: str = __version__
    variables: dict[str, str] = field(default_factory=dict)  # that hold a secret, by what it was given for
    jobs: list[Job] = field(default_factory=list)
    _lock: Any = None
    _next_write: float = 0.0
    _ours: bool = True  # made by this user on this machine
    _kept: dict[str, str] = field(default_factory=dict)  # what each text becomes in the file

    @classmethod
    def create(cls, output_dir: str, **asked: Any) -> Sweep:
        """A new one, in a directory of its own, held by this process."""
        seal.key()  # a fault of the key shows before anything is made
        asked["variables"] = variables(asked["overrides"])
        sweep = cls(path=fresh(output_dir, "sweep"), started=now(), host=platform.node(), **asked)
        try:
            sweep._lock = held(sweep.path)
            sweep.save()
        except OSError as error:
            sweep.release()
            shutil.rmtree(sweep.path, ignore_errors=True)
            raise closed(output_dir, error) from None
        return sweep

    @classmethod
    def read(cls, path: Path) -> Sweep:
        """What the file says, held against its form; paths are of this user's home again, secrets are not known."""
        content = record.read(path / FILE)
        sealed = content.pop("seal", None)
        ours = seal.holds(content, sealed)
        jobs = [Job(**values) for values in content.pop("jobs")]
        for job in jobs:
            job.directory = path.resolve() / str(job.number)
            job.overrides = list(map(at_home, job.overrides))
        for name in ("directory", "config_dir"):
            content[name] = content[name] and at_home(content[name])
        content["overrides"] = list(map(at_home, content["overrides"]))
        return cls(path=path, jobs=jobs, _ours=ours, **content)

    @classmethod
    def hold(cls, path: Path) -> Sweep:
        """The sweep as it was left, held by this process from now on. It may come from a stranger."""
        lock = held(path)
        if lock is None:
            raise UserError(f"{path}: is being run by another process; wait for it, or stop it")
        try:
            untrusted.refuse_ways_out(path, "sweep directory")
            sweep = cls.read(path)
        except UserError:
            lock.release()
            raise
        sweep._lock = lock
        return sweep

    @classmethod
    def unfinished(cls, output_dir: str, overrides: list[str], config_dir: str | None, shared: bool) -> Sweep | None:
        """The newest sweep of these overrides that has not ended; held from now on.

        Raises UserError where another process has it, which would make two sweeps of one; of workers that share a
        study each has a sweep of its own.
        """
        places = Path(output_dir).expanduser().glob(f"*/*-sweep-*/{FILE}")
        for path in sorted((place.parent for place in places), reverse=True):
            try:
                found = cls.read(path)
            except UserError as error:
                say(f"{error}; it is left as it is")
                continue
            same = (found.what(), found.config_dir) == (what(overrides), config_dir) and not found.untrusted()
            if found.is_over() or not same or found.directory != str(Path.cwd()):
                continue
            if not found._ours:
                say(f"{path}: is of the same overrides, but was not made by you on this machine; it is left as it is")
                continue
            if (taken := cls._taken(path, shared)) is not None:
                return taken
        return None

    @classmethod
    def _taken(cls, path: Path, shared: bool) -> Sweep | None:
        remedy = "wait for it, or stop it (resume=never begins another)"
        lock = held(path)
        if lock is None and shared:
            return None
        if lock is None:
            raise UserError(f"{path}: the same sweep is being run by another process; {remedy}")
        lock.release()
        found = cls.hold(path)
        if not found.is_over() and found._ours:
            return found
        found.release()
        if shared:
            return None
        raise UserError(f"{path}: was brought to its end by another process meanwhile (resume=never begins another)")

    def what(self) -> list[str]:
        return what(self.overrides)

    def untrusted(self) -> list[str]:
        """The packages that it was begun with and that the user has not named now."""
        return [name for name in self.packages if name not in trusted()]

    def is_over(self) -> bool:
        """Whether it ended, be it with failures; interrupted by whatever, it has not."""
        return self.status in ("done", "failed")

    def add(self, overrides: list[str], **known: Any) -> Job:
        number = len(self.jobs)
        self.jobs.append(Job(number, overrides, self.path.resolve() / str(number), **known))
        return self.jobs[-1]

    def unsettled(self) -> list[Job]:
        return [job for job in self.jobs if job.status not in OVER]

    def save(self, *, soon: bool = False) -> None:
        """Writes the file; `soon` lets changes gather where they come faster than a large file is worth.

        Only what the jobs' directories tell too may be left for later.
        """
        begun = time.monotonic()
        if soon and begun < self._next_write:
            return
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name[0] != "_" and f.name != "path"}
        content["jobs"] = [{**asdict(job), "directory": job.directory.name} for job in self.jobs]
        content = self._scrubbed(content)
        write_json(self.path / FILE, {**content, "seal": seal.seal(content) if self._ours else ""})
        ended = time.monotonic()
        self._next_write = ended + CALM * (ended - begun)

    def _scrubbed(self, value: Any) -> Any:
        """As `kept`, which is slow where there are many jobs of few texts."""
        if isinstance(value, str):
            if (found := self._kept.get(value)) is None:
                found = self._kept[value] = kept(value)
            return found
        if isinstance(value, dict):
            return {key: self._scrubbed(inner) for key, inner in value.items()}
        return [self._scrubbed(inner) for inner in value] if isinstance(value, list | tuple) else value

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def held(path: Path) -> FileLock | None:
    """The lock of a sweep, taken; None where another process has it. One that dies lets go of it."""
    file = path / ".lock"
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise UserError(f"{file}: a link, or no file; remove it")  # what opens it would empty a file elsewhere
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_sweep(path: Path) -> bool:
    return (path / FILE).is_file()


def what(overrides: list[str]) -> list[str]:
    """What of the command line makes a sweep this one and no other."""
    return [o for o in map(kept, overrides) if not re.match(rf"({'|'.join(map(re.escape, HOW))})[.=]", o)]


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def working_directory(recorded: str) -> str:
    """Where the jobs start; a sweep that was moved to another machine starts where its user stands."""
    return recorded if Path(recorded).is_dir() else str(Path.cwd())
