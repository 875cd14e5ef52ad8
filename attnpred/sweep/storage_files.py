"""Whether a file that is named as a storage is one. Whatever else it is stays as it is, byte for byte."""

import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from attnpred.errors import UserError

BEGINNING = b'{"op_code":'  # of every line of Optuna's journals
SQLITE = b"SQLite format 3\0"
REMEDY = "give a name that is not taken yet"
LOCKS = {"journal": (".lock", ".turn"), "sqlite": (".turn",)}  # further files, by the ends of their names


def refuse_others(file: Path, kind: str, place: str) -> None:
    """Raises unless the file is absent, empty, or of the kind; `place` is the option that names it."""
    for end in LOCKS[kind]:
        lock = file.with_name(file.name + end)
        if lock.is_symlink() or (lock.exists() and (not lock.is_file() or lock.stat().st_size)):
            raise UserError(f"{place}: {lock} is in the way; {REMEDY}")  # taking the lock would empty it
    if file.is_symlink() and not file.exists():
        raise UserError(f"{place}: is a link to nothing; {REMEDY}")
    if file.exists() and not file.is_file():
        raise UserError(f"{place}: is no file; {REMEDY}")
    try:
        fits = not file.exists() or not file.stat().st_size or {"journal": _is_journal, "sqlite": _is_study}[kind](file)
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror}); permit reading, or {REMEDY}") from None
    if not fits:
        what = "no journal of Optuna's" if kind == "journal" else "no SQLite file of Optuna's"
        raise UserError(f"{place}: is {what}, and is left as it is; {REMEDY}")


def _is_journal(file: Path) -> bool:
    """Every line is one of Optuna's, the last one perhaps torn."""
    with file.open("rb") as stream:
        for line in iter(lambda: stream.readline(len(BEGINNING)), b""):
            if line != BEGINNING[: len(line)] or (stream.tell() < len(BEGINNING)):
                return False
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(2**20)
    return True


def _is_study(file: Path) -> bool:
    """An SQLite file without tables, or with those of a study."""
    with file.open("rb") as stream:
        if stream.read(len(SQLITE)) != SQLITE:  # a file of few bytes would be taken for an empty one
            return False
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError:
        return True  # at work, or unreadable, which opening it says
    except sqlite3.DatabaseError:
        return False
    return not tables or {"studies", "trials", "version_info"} <= tables


def cut_torn_line(file: Path) -> None:
    """Removes what a worker left of a journal that was killed as it wrote; what follows it could not be read."""
    with FileLock(f"{file}.lock"):
        content = file.read_bytes() if file.is_file() else b""
        if content and not content.endswith(b"\n"):
            with file.open("r+b") as stream:
                stream.truncate(content.rfind(b"\n") + 1)
