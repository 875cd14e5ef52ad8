"""Which places a dataset is read from: the directory that holds it, its files, and the files that its rows name."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attnpred.errors import UserError

MOST_ENTRIES = 100_000  # of a directory that are looked at for a first file of data
PATTERNS = ("[", "]", "*", "?", "::", "\n", "\r")  # what `datasets` takes for more than a name
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".lz4")
TABLES = (".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", ".text", ".tar", *PACKED)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".ppm", ".pgm", ".tga")
SOUNDS = (".wav", ".flac")


class Outside(ValueError):
    """A row names a file that it may not."""


@dataclass(frozen=True)
class Reach:
    """The directories whose files rows may name in place of their own bytes; None where rows come of trusted code."""

    directories: tuple[Path, ...] | None  # a relative path begins at the first
    anywhere: bool = False  # the user allows files of elsewhere

    def file(self, path: str) -> Path:
        """The file that a row names, links followed; raises Outside where it may not."""
        if self.directories is None:
            return Path(path)
        if "://" in path or "::" in path:
            raise Outside("which is no path of a file; put the pictures themselves into the data")
        # realpath bears links that go in circles
        found = Path(os.path.realpath(self.directories[0] / path))
        if not self.anywhere and not any(found.is_relative_to(os.path.realpath(own)) for own in self.directories):
            raise Outside(
                f"outside of {self.directories[0]}; put it there, or trust the data and set data.paths_outside=true"
            )
        return found


def refuse_place(directory: Path, named: str) -> None:
    """Raises for a directory in which no dataset can be looked for; `named` is the option and its value."""
    found = next((sign for sign in PATTERNS if sign in str(directory)), None)
    if found is not None:
        sign = found if found.isprintable() else "a line's end"
        raise UserError(f"{' '.join(named.split())}: {sign} in its path is taken for a pattern; rename the directory")
    suffixes = (*TABLES, *PICTURES, *SOUNDS)
    for seen, name in enumerate(_entries(directory)):
        if name.lower().endswith(suffixes):
            return
        if seen >= MOST_ENTRIES:
            raise UserError(
                f"{named}: none of its first {MOST_ENTRIES:,} entries is a file of data; give the directory that holds "
                "the data alone"
            )


def _entries(directory: Path) -> Iterator[str]:
    for _, folders, names in _walk(directory):
        yield from names
        yield from (f"{folder}/" for folder in folders)


def _walk(directory: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, in order, hidden names left out; links are followed, but into each directory once."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(directory, followlinks=True):
        state = Path(folder).stat()
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, folders, sorted(name for name in names if not name.startswith("."))


def files(directory: Path) -> Iterator[Path]:
    """Every file below the directory, hidden ones left out."""
    for folder, _, names in _walk(directory):
        yield from (path for path in (Path(folder, name) for name in names) if path.is_file())


def files_digest(directory: Path) -> str:
    """Stands for name, size and time of change of every file below `directory`, hidden ones left out."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files(directory):
        state = path.stat()
        name = os.fsencode(path.relative_to(directory))
        digest.update(name + f"\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def within(file: str, directory: Path) -> bool:
    """True where the path, as it is written, stays in the directory; links in it are the user's own."""
    plain = "://" not in file and "::" not in file
    return plain and Path(os.path.normpath(file)).is_relative_to(directory)
