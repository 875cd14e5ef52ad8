"""Finds runs below directories, and remembers what they told: ten thousand are read in seconds, again in one.

What was read is kept in a file of the user's cache, one for each tree, and never in the tree. An entry counts
as long as the run's files are the same by inode, size and times. A file that changed a moment ago may change again
unnoticed, so its entry is not kept. Without an index, or where it is damaged, all is read.
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnpred.compare import record
from attnpred.compare.record import FILES, Record
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import path_of, write_text

CACHE = "~/.cache/attnpred/runs"
SETTLED = 2 * 10**9  # nanoseconds after which a change of a file shows in its times on every file system
FOLDERS = {
    "checkpoints",
    "random",
    "tensorboard",
    "found",
    "profile",
    "explanations",
    "wandb",
    "mlruns",
}  # made by runs
Stamp = list[list[int] | None]


@dataclass
class Found:
    """The runs, in the order of their directories, and what else lay there, counted by what it is."""

    records: list[Record] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find(places: Iterable[str]) -> Found:
    """Every run at or below the places; each once. Symbolic links below a place are not followed."""
    found = Found()
    trees: dict[Path, list[Path]] = {}
    seen: set[Path] = set()
    for place in places:
        given = path_of(place)
        if not given.is_dir():
            raise UserError(f"{place}: no such directory; give run directories, or directories that hold some")
        root = given.resolve()
        paths = list(_below(root, found.others))
        tree = root.parent if _is_run(root) else root
        trees.setdefault(tree, []).extend(path for path in paths if path not in seen)
        seen.update(paths)
    for tree, paths in trees.items():
        found.records += _read(tree, paths)
    found.records.sort(key=lambda one: one.path)
    return found


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def _below(root: Path, others: Counter[str]) -> Iterator[Path]:
    """Run directories; inside one only what no run makes is looked at, where a stray run.json hides others."""
    waiting = [(str(root), False)]
    while waiting:
        place, inside = waiting.pop()
        try:
            with os.scandir(place) as listing:
                entries = list(listing)
        except OSError:
            others["directories that cannot be read"] += 1
            continue
        names = {entry.name for entry in entries}
        below = [e.path for e in entries if _is_folder(e, follow_symlinks=False) and not e.name.startswith(".")]
        if "run.json" in names:
            yield Path(place)
            waiting += [(path, True) for path in below if os.path.basename(path) not in FOLDERS]  # noqa: PTH119  many
            continue
        waiting += [(path, inside) for path in below]
        if not inside:
            links = [entry for entry in entries if entry.is_symlink() and _is_folder(entry, follow_symlinks=True)]
            others["symbolic links, which are not followed"] += len(links)
            others["directories that hold no run"] += bool(names) and not below and not links


def _is_folder(entry: os.DirEntry[str], *, follow_symlinks: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_symlinks)
    except OSError:  # a link in circles, or of a process that has just ended
        return False


def _read(tree: Path, paths: list[Path]) -> list[Record]:
    file = Path(CACHE).expanduser() / f"{hashlib.blake2b(os.fsencode(tree), digest_size=16).hexdigest()}.json"
    known = _load(file, tree)
    now = time.time_ns()
    kept: dict[str, tuple[Stamp, Record]] = {}
    records = []
    names = {path: os.path.relpath(path, tree) for path in paths}
    for path in paths:
        name = names[path]
        stamp = [_stamp(path / one) for one in FILES]
        one = known[name][1] if name in known and known[name][0] == stamp else record.read(path)
        records.append(one)
        if all(part is None or max(part[:2]) < now - SETTLED for part in stamp):
            kept[name] = stamp, one
    # what was not asked for this time stays, as long as it is there
    asked = set(names.values())
    others = {name: entry for name, entry in known.items() if name not in asked and (tree / name / FILES[1]).is_file()}
    if {**others, **kept} != known:
        _save(file, tree, {**others, **kept})
    return records


def _stamp(file: Path) -> list[int] | None:
    """What tells whether a file is still the same; the time of its last change of any kind cannot be set by hand."""
    try:
        status = file.stat()
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


def _load(file: Path, tree: Path) -> dict[str, tuple[Stamp, Record]]:
    """What was kept of the tree; nothing where that is damaged, or of other code."""
    try:
        digest, _, payload = file.read_text(encoding="ascii").partition("\n")
        if digest != _digest(payload):
            return {}
        content = json.loads(payload)
        if content["code"] != _code():
            return {}
        parts = content["parts"]
        return {name: (entry[0], _record(tree / name, entry, parts)) for name, entry in content["runs"].items()}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def _record(path: Path, entry: list[Any], parts: list[Any]) -> Record:
    _, about, numbers, results, named, problem = entry
    own = tuple(parts[number] for number in numbers)
    return Record(path, about, record.joined(own), results, tuple(named), problem, own)


def _save(file: Path, tree: Path, entries: dict[str, tuple[Stamp, Record]]) -> None:
    """In one step, so that others meet the old or the new; where the cache cannot be written, there is none."""
    numbers: dict[int, int] = {}
    places: dict[str, int] = {}
    parts: list[Any] = []
    runs = {}
    for name, (stamp, one) in entries.items():
        for part in one.parts:
            if id(part) not in numbers:  # most are the same object, others may be alike
                numbers[id(part)] = places.setdefault(json.dumps(part), len(parts))
                parts += [part] * (len(places) > len(parts))
        own = [numbers[id(part)] for part in one.parts]
        runs[name] = [stamp, one.about, own, one.results, one.named, one.problem]
    payload = json.dumps({"code": _code(), "tree": str(tree), "parts": parts, "runs": runs}, separators=(",", ":"))
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, f"{_digest(payload)}\n{payload}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()


def _code() -> str:
    """Another way to read a run needs another index."""
    return hashlib.blake2b(Path(record.__file__).read_bytes(), digest_size=16).hexdigest()


def tell(found: Found, left_out: Mapping[str, int]) -> None:
    """Says what was left out, and why."""
    for reason, count in left_out.items():
        say(f"left out: {count:,} run{'s' * (count != 1)} {reason}")
    for what, count in (+found.others).items():
        say(f"left out: {count:,} {what}")
