"""The rule for every input of every kind: it is accepted, or refused in a line a mistake; and nothing else happens."""

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attnpred.cli import main
from attnpred.console.secrets import shown
from attnpred.errors import MOST_TOLD, UserError
from tests.siege.case import Case, apply, placed
from tests.siege.watch import Watch

SEVERAL = ("command_lines", "sweeps")  # kinds whose inputs are overrides, of which each may be wrong
LIMIT = 20  # seconds of computing for an input; whatever takes longer hangs
WAIT = 60  # seconds by the clock, however busy the machine is
SECRET, VARIABLE = "siege-secret-value-0815", "SIEGE_TOKEN"
CANARY = "what-a-stranger-must-not-read"
LARGEST = 2**20  # bytes of a file that is looked through for secrets
Action = Callable[[Path, Case], int]


@dataclass(frozen=True)
class Verdict:
    outcome: str  # refused, accepted or failed
    seconds: float
    signature: str = ""  # the same for inputs that fail in the same way
    detail: str = ""

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Hang(BaseException):
    """The input takes too long."""


class Oracle:
    """Tries inputs in a place of its own, which stands among things that must stay as they are."""

    def __init__(self, root: Path, name: str, bases: Path) -> None:
        self.bases, self.cell = bases, root / name
        self.home = Path.home()
        self.place, self.outside, self.scratch = self.cell / "place", self.cell / "outside", self.cell / "scratch"
        for directory in (self.outside, self.scratch):
            directory.mkdir(parents=True, exist_ok=True)
        self._furnish()
        os.environ[VARIABLE] = SECRET
        tempfile.tempdir = str(self.scratch)
        os.environ["TMPDIR"] = str(self.scratch)
        self.watch = Watch()
        self.streams = [(self.cell / name).open("w+b") for name in ("stdout", "stderr")]
        # whatever held them before, what is printed goes where the numbers lead
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        self.saved = [os.dup(number) for number in (1, 2)]
        signal.signal(signal.SIGPROF, _alarm)

    def _furnish(self) -> None:
        """Puts back the surroundings of the place, where an input took them away."""
        (self.outside / "folder").mkdir(exist_ok=True)
        if not (self.outside / "secret.csv").is_file():
            (self.outside / "secret.csv").write_text(f"text,label\n{CANARY},0\n{CANARY},1\n")

    def attempt(self, case: Case, kind: Any, *, strict: bool = False) -> Verdict:
        """`kind` is the module of the input's kind."""
        self._prepare(case, kind, strict)
        outside, place = _snapshot(self.outside), _snapshot(self.place)
        begun = time.process_time()
        out, err, code, failure = self._captured(case, kind)
        seconds = time.process_time() - begun
        if failure is None:
            failure = self._complaint(case, kind, out, err, code, outside, place)
        if failure is not None:
            return Verdict("failed", seconds, *failure)
        return Verdict("accepted" if code == 0 else "refused", seconds, "", err.strip()[-300:])

    def _prepare(self, case: Case, kind: Any, strict: bool) -> None:
        os.chdir(self.cell)
        self._furnish()
        shutil.rmtree(self.place, ignore_errors=True)
        if case.base:
            shutil.copytree(self.bases / case.base, self.place, symlinks=True)
        else:
            self.place.mkdir()
        apply(case, self.place, self.outside, strict=strict)
        os.chdir(self.place)

    def _captured(self, case: Case, kind: Any) -> tuple[str, str, int, tuple[str, str] | None]:
        """Its output, its exit code, and the error that it raised: a signature and the traceback."""
        failure, code = None, 0
        for stream, number in zip(self.streams, (1, 2), strict=True):
            stream.seek(0)
            stream.truncate()
            os.dup2(stream.fileno(), number)
        own = (self.place, self.scratch, self.home / ".cache", self.home / ".config", self.cell.parent / "inductor")
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        try:
            with self.watch.over(own, (self.cell, self.home), kind.PROGRAMS):
                code = kind.ACTIONS[case.action](self.place, case)
        except Hang:
            failure = f"hangs {_where()}", traceback.format_exc()
        except SystemExit as error:  # of --help
            code = error.code if isinstance(error.code, int) else 1
        except BaseException as error:
            failure = f"raises {type(error).__name__} {_where()}", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            sys.stdout.flush()
            sys.stderr.flush()
            for number, kept in zip((1, 2), self.saved, strict=True):
                os.dup2(kept, number)
        told = [Path(stream.name).read_bytes().decode("utf-8", "replace") for stream in self.streams]
        return told[0], told[1], code, failure

    def _complaint(
        self, case: Case, kind: Any, out: str, err: str, code: int, outside: Any, place: Any
    ) -> tuple[str, str] | None:
        lines = err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        after = _snapshot(self.place)
        if code not in (0, 2, *kind.CODES):
            return f"exit code {code}", err
        most = MOST_TOLD + 1 if case.kind in SEVERAL else 1
        if code == 2 and (not 1 <= len(errors) <= most or lines[-len(errors) :] != errors):
            return "refused in other than a line a mistake", err
        if "Traceback" in err:
            return "a traceback is printed", err
        if odd := next((c for c in out + err if c not in "\n\t" and not c.isprintable()), None):
            return f"prints {odd!a}, which a terminal obeys", out + err
        for word, what in ((SECRET, "the secret"), (CANARY, "a file of elsewhere")):
            if word in out + err:
                return f"prints {what}", out + err
        if case.told is not None:
            want = placed(case.told, self.place, self.outside)
            if code != 2 or want not in err or out or len(lines) != 1 or after != place:
                return f"must be refused, naming {want!a}, and leave nothing", out + err
        if self.watch.found:
            return f"reaches out: {self._named(self.watch.found[0])}", "\n".join(self.watch.found)
        if (found := _snapshot(self.outside)) != outside:
            return "changes files of elsewhere", str(found ^ outside)
        if left := list(self.scratch.iterdir()):
            for path in left:
                shutil.rmtree(path, ignore_errors=True)
            return "leaves temporary files", str(left)
        changed = {path for path in after ^ place if not path[0].endswith((".lock", "/.lock"))}
        if code == 2 and changed and case.action in kind.UNTOUCHED:
            return "is refused and leaves changes", f"{sorted(changed)}\n{err}"
        return self._leak(after - place)

    def _leak(self, changed: Any) -> tuple[str, str] | None:
        """Secrets, or whose home this is, in what was written."""
        for name, size, _ in changed:
            file = self.place / name
            if file.is_symlink() or not file.is_file() or size > LARGEST:
                continue
            content = file.read_bytes()
            for word in (SECRET, str(self.home), CANARY):
                if word.encode() in content:
                    return f"writes {word.replace(str(self.home), 'the home directory')!a} into a file", name
        return None

    def _named(self, found: str) -> str:
        return found.replace(str(self.cell), "CELL").replace(str(self.home), "HOME")[:120]


def by_command(*words: str) -> Action:
    """An action that is a command; of its words {place} is the case's, and * its arguments."""

    def act(place: Path, case: Case) -> int:
        own = [placed(one, place, place.parent / "outside") for one in case.arguments]
        given = [placed(word, place, place.parent / "outside") for word in words if word != "*"]
        return main(
            [*given, *own] if "*" not in words else [*given[: words.index("*")], *own, *given[words.index("*") :]]
        )

    return act


def by_call(function: Callable[[Path, Case], Any]) -> Action:
    """An action that is a function, whose UserError is told as commands tell it."""

    def act(place: Path, case: Case) -> int:
        try:
            function(place, case)
        except UserError as error:
            print(f"error: {shown(str(error))}", file=sys.stderr)
            return 2
        return 0

    return act


def _alarm(*_: Any) -> None:
    raise Hang


def _where() -> str:
    """The innermost lines of the program's own, and of the library below them."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [f for f in frames if "/attnpred/" in f.filename]
    last = frames[-1]
    told = [f"{Path(f.filename).name}:{f.name}" for f in [*own[-1:], *([] if own and last is own[-1] else [last])]]
    return " < ".join(reversed(told))


def _snapshot(directory: Path) -> set[tuple[str, int, int]]:
    """Every name below, with size and time of change."""
    found = set()
    for folder, folders, names in os.walk(directory):
        for name in (*folders, *names):
            path = os.path.join(folder, name)  # noqa: PTH118  called often
            state = os.lstat(path)
            is_folder = name in folders
            found.add(
                (
                    path[len(str(directory)) + 1 :],
                    0 if is_folder else state.st_size,
                    0 if is_folder else state.st_mtime_ns,
                )
            )
    return found
