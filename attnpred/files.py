"""Writing small files so that a reader, or a crash, never meets half of one."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attnpred.errors import UserError

LONGEST_SHOWN = 80  # characters of a path that none can have
LONGEST_WHOLE = 64  # digits of a whole number; beyond them none is meant, and a float could not hold it
# what a disk answers that is full, closed, broken, or out of reach: never a mistake of the program's
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def path_of(text: str, place: str = "") -> Path:
    """The path that a person, or a file, wrote down, `~` written out; one line where no file can have it.

    `place` names the option in that line.
    """
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    try:
        text.encode()
        path = Path(text).expanduser()
        if "\n" in text or "\r" in text:
            shown, reason = ascii(shown), "holds a line's end; rename it"
        elif text:
            os.lstat(path)
            return path
        else:
            reason = "names nothing; give a path"
    except UnicodeEncodeError:
        shown = os.fsencode(text).decode(errors="backslashreplace") if _of_system(text) else ascii(text)
        reason = "is not UTF-8; rename it"
    except RuntimeError:
        reason = "there is no such home directory; mend the name"
    except ValueError:
        shown = shown.replace("\0", "\\0")
        reason = "no path holds a zero byte; mend it"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            return path  # whoever opens it says what is wrong
        reason = f"is too long for a path ({len(text):,} characters); give a shorter one"
    raise UserError(f"{place}{shown}: {reason}")


def _of_system(text: str) -> bool:
    """True where the text can be one of the system's own names: Python keeps bytes in it that are no characters."""
    try:
        return bool(os.fsencode(text))
    except UnicodeEncodeError:
        return False


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replaces the file in one step, on disk before the old content is let go."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with named(path):
        draft.unlink(missing_ok=True)
        try:
            with draft.open("x", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            remove(draft)
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Has an error of the disk name the file, which it does not where the file was open already, or a draft of it."""
    try:
        yield
    except OSError as error:
        if error.errno in OF_THE_DISK:
            error.filename, error.filename2 = str(path), None
        raise


def remove(draft: Path) -> None:
    """Removes what was only half written, if the disk lets go of it; what failed before is what counts."""
    with suppress(OSError):
        draft.unlink(missing_ok=True)


def tidy(directory: Path) -> None:
    """Removes what a killed process left half written here; nobody may be writing now."""
    for draft in directory.glob(".*.*"):
        if draft.suffix[1:].isdigit():
            draft.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Waits until a file's content, or a directory's names, are where a loss of power leaves them."""
    with named(path):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def unwritable(directory: Path, error: OSError) -> str | None:
    """The line for a write that failed below the directory; None where the error is of another kind."""
    place = Path(error.filename) if isinstance(error.filename, str) else directory
    if error.errno not in OF_THE_DISK and not place.is_relative_to(directory):
        return None
    try:
        free = f", {shutil.disk_usage(directory).free / 2**20:,.0f} MiB are free"
    except OSError:
        free = ""
    return (
        f"{place}: cannot be written ({error.strerror}{free}). What was saved before is whole: "
        f"mend that, and go on with attnpred resume {directory}"
    )


def of_the_disk(error: OSError) -> str | None:
    """The line for an error that nobody knew more about; None where it may be a mistake of the program's."""
    if error.errno not in OF_THE_DISK:
        return None
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    return f"{place}: {error.strerror}; mend the disk or make room, and give the command again"


def read_json(path: Path) -> Any:
    try:
        return plain_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); restore the file") from None


def plain_json(content: str | bytes) -> Any:
    """The value of a JSON text; ValueError also where a whole number is longer than any that is meant."""
    return json.loads(content, parse_int=_whole)


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_WHOLE:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)
