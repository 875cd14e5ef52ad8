"""The sweep directory: what was asked, and how each job stands, in `sweep.json`; the jobs' runs lie below it."""

from __future__ import annotations

import platform
import re
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from attnpred.config.packages import trusted
from attnpred.errors import UserError
from attnpred.machine.files import read_json, write_json
from attnpred.runs.run import fresh
from attnpred.sweep.job import OVER, Job
from attnpred.version import __version__

FILE = "sweep.json"
SECRETS = re.compile(r"(?<=://)([^/@:\s]*):[^/\s]*@|(?<=[?&]password=)[^&\s]+")
# what says how a sweep runs, not what it is; another of these goes on with the same sweep
HOW = ("resume", "hydra/launcher", "hydra.launcher")
Direction = Literal["maximize", "minimize"]
CALM = 50  # how many times longer than it takes to write the file it is left alone


@dataclass
class Sweep:
    """What the parent knows, brought to disk at every change; the jobs' own directories say what it missed."""

    path: Path
    overrides: list[str]  # as typed, without secrets
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
    jobs: list[Job] = field(default_factory=list)
    _lock: Any = None
    _next_write: float = 0.0

    @classmethod
    def create(cls, output_dir: str, **asked: Any) -> Sweep:
        """A new one, in a directory of its own, held by this process."""
        sweep = cls(path=fresh(output_dir, "sweep"), started=now(), host=platform.node(), **asked)
        sweep._lock = held(sweep.path)
        sweep.save()
        return sweep

    @classmethod
    def read(cls, path: Path) -> Sweep:
        try:
            content = read_json(path / FILE)
            jobs = [Job(**values) for values in content.pop("jobs")]
            for number, job in enumerate(jobs):
                if (job.number, str(job.directory)) != (number, str(number)):
                    raise ValueError(f"job {number} is not in its place")
                job.directory = path.resolve() / str(number)
            sweep = cls(path=path, jobs=jobs, **content)
            if not all(isinstance(name, str) and name.isidentifier() for name in sweep.packages):
                raise ValueError("its packages are no names")
            return sweep
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path / FILE}: does not describe a sweep ({error}); restore the file") from None

    @classmethod
    def hold(cls, path: Path) -> Sweep:
        """The sweep as it was left, held by this process from now on."""
        lock = held(path)
        if lock is None:
            raise UserError(f"{path}: is being run by another process; wait for it, or stop it")
        sweep = cls.read(path)
        sweep._lock = lock
        return sweep

    @classmethod
    def unfinished(cls, output_dir: str, overrides: list[str], config_dir: str | None) -> Sweep | None:
        """The newest sweep of these overrides that has not ended and that nobody runs; held from now on."""
        places = Path(output_dir).expanduser().glob(f"*/*-sweep-*/{FILE}")
        for path in sorted((place.parent for place in places), reverse=True):
            try:
                found = cls.read(path)
                same = (found.what(), found.config_dir) == (what(overrides), config_dir) and not found.untrusted()
                if found.is_over() or not same or found.directory != str(Path.cwd()):
                    continue
                found = cls.hold(path)
            except UserError:
                continue  # damaged, or at work
            if not found.is_over():
                return found
            found.release()
        return None

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
        write_json(self.path / FILE, content)
        ended = time.monotonic()
        self._next_write = ended + CALM * (ended - begun)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def held(path: Path) -> FileLock | None:
    """The lock of a sweep, taken; None where another process has it. One that dies lets go of it."""
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_sweep(path: Path) -> bool:
    return (path / FILE).is_file()


def what(overrides: list[str]) -> list[str]:
    """What of the command line makes a sweep this one and no other."""
    return [o for o in map(masked, overrides) if not re.match(rf"({'|'.join(map(re.escape, HOW))})[.=]", o)]


def masked(text: str) -> str:
    """Without the password of an address."""
    return SECRETS.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "***", text)


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def working_directory(recorded: str) -> str:
    """Where the jobs start; a sweep that was moved to another machine starts where its user stands."""
    return recorded if Path(recorded).is_dir() else str(Path.cwd())
