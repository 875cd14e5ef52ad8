"""Prepared data on disk: made once, by one process, found whole or not at all.

An entry is a directory named by what it was made from. It is built beside its place, flushed, and renamed into it, so
that a reader never meets half of one. Its manifest holds every file's size and checksum; both are compared at every
opening. A file above `WHOLE_FILE` bytes is sampled at even distances: an opening takes some tens of milliseconds.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of, to_disk

USUAL = "~/.cache/attnpred"
# Marks the directory for backup programs, which leave it out, and as one that was once chosen by this machine's user
TAG = "CACHEDIR.TAG"
MARK = "Signature: 8a477f597d28d172789f06886806bc55\n# Data prepared by attnpred; can be removed.\n"
MANIFEST = "manifest.json"
WHOLE_FILE = 32 * 2**20
SAMPLES, SAMPLE = 32, 2**18


def entry(
    cache_dir: str,
    kind: str,
    key: Mapping[str, Any],
    what: str,
    check: Callable[[], object],
    build: Callable[[Path], None],
) -> Path:
    """The directory of the entry for `key`, built by `build(directory)` if there is none or it is damaged.

    `what` names the work for the person who waits. `check` raises what is known to be wrong before anything is written.
    `build` turns every error of its input into a UserError: an OSError that leaves it is the cache's own.
    """
    root = path_of(cache_dir, "data.cache_dir=")
    text = json.dumps(key, sort_keys=True)
    place = root / f"{kind}-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
    if place.is_dir() and damage(place) is None:
        with suppress(OSError):  # one that may only be read does as well
            _mark(root)
        return place
    check()
    try:
        _refuse_theirs(root, cache_dir)
        root.mkdir(parents=True, exist_ok=True)
        _mark(root)
        _build_once(place, text, what, build)
    except OSError as error:
        raise UserError(
            f"data.cache_dir={cache_dir}: cannot keep prepared data there ({error.strerror or error}); "
            "free space or permit writing, or set data.cache_dir=DIRECTORY"
        ) from error
    return place


def is_ours(cache_dir: str) -> bool:
    """Whether prepared data has been kept there before."""
    try:
        return (Path(cache_dir).expanduser() / TAG).read_text(encoding="utf-8") == MARK
    except (OSError, ValueError, RuntimeError):
        return False


def _refuse_theirs(root: Path, named: str) -> None:
    """Raises for a directory of the user's own files: marked as a cache, backup programs would leave them out.

    `attnpred runs` keeps what it read in the usual one, before there is any data.
    """
    if is_ours(str(root)) or root == Path(USUAL).expanduser():
        return
    try:
        other = next((one.name for one in sorted(root.iterdir()) if one.name != TAG or not _being_marked(root)), None)
    except FileNotFoundError:
        return
    # another process may have marked it meanwhile, which comes before all else that it keeps there
    if other is not None and not is_ours(str(root)):
        raise UserError(
            f"data.cache_dir={named}: holds files that are not attnpred's ({other}), which would be marked as a cache "
            f"that no backup keeps; name a new or empty directory, such as {Path(named) / 'cache'}"
        )


def _being_marked(root: Path) -> bool:
    """True where another process is writing our mark."""
    return MARK.startswith((root / TAG).read_text(encoding="utf-8", errors="replace"))


def _mark(root: Path) -> None:
    if not is_ours(str(root)):
        (root / TAG).write_text(MARK, encoding="utf-8")


def _build_once(place: Path, key: str, what: str, build: Callable[[Path], None]) -> None:
    import filelock

    lock = filelock.FileLock(place.with_name(place.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(f"waiting for another process that is preparing {what}")
        lock.acquire()
    try:
        found = damage(place) if place.exists() else "absent"
        if found is None:
            return
        if found != "absent":
            say(f"warning: prepared data is damaged ({place}: {found}); preparing it again")
        # under the lock, what is left of an earlier attempt belongs to a process that died
        for remains in place.parent.glob(f"{place.name}.part-*"):
            shutil.rmtree(remains)
        say(f"preparing {what} (once; kept in {place.parent})")
        _build(place, key, build)
    finally:
        lock.release()


def _build(place: Path, key: str, build: Callable[[Path], None]) -> None:
    part = Path(tempfile.mkdtemp(prefix=f"{place.name}.part-", dir=place.parent))
    try:
        build(part)
        names = sorted(p.name for p in part.iterdir())
        files = {n: {"bytes": (part / n).stat().st_size, "blake2b": checksum(part / n)} for n in names}
        manifest = {"key": json.loads(key), "files": files}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for name in [*names, MANIFEST, "."]:
            to_disk(part / name)
        part.chmod(0o755)  # mkdtemp keeps others out; a cache may be shared
        if place.exists():
            # a rename keeps the old files whole for whoever still reads them
            place.rename(Path(tempfile.mkdtemp(prefix=f"{place.name}.part-", dir=place.parent)) / "damaged")
        part.rename(place)
        to_disk(place.parent)
    except OSError as error:
        written = sum(file.stat().st_size for file in part.glob("*")) / 2**20
        raise OSError(error.errno, f"{error.strerror} after {written:,.1f} MiB; it needs more") from error
    finally:
        for remains in place.parent.glob(f"{place.name}.part-*"):
            shutil.rmtree(remains, ignore_errors=True)


def damage(place: Path) -> str | None:
    """What is wrong with an entry; None where it is whole."""
    try:
        files = json.loads((place / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, known in files.items():
            if name != Path(name).name or ((place / name).exists() and not (place / name).is_file()):
                return f"{name} is no file of it"
            if (place / name).stat().st_size != known["bytes"]:
                return f"{name} has another size"
            if checksum(place / name) != known["blake2b"]:
                return f"{name} has another content"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} or a file of it is unreadable"
    return None


def checksum(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        if size <= WHOLE_FILE:
            digest.update(file.read())
        else:
            for i in range(SAMPLES):
                file.seek((size - SAMPLE) * i // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
    return digest.hexdigest()
