"""Rows of the user's own files: one, several by a pattern, or those of a folder, each split's by its name."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.data import csv_types, formats
from attnpred.data.formats import KINDS, PACKINGS, Chunks
from attnpred.data.places import Reach
from attnpred.data.sources import Source, listed
from attnpred.errors import UserError

VERSION = 2  # raised when the code finds other rows in the same files
SUFFIXES = tuple(KINDS)
# The beginnings of the names of files and folders that hold a split, and its name
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
COUNTED = 10_000  # rows at once, where they are counted only


def split_in(stem: str) -> str | None:
    """The split that a file's or folder's name begins with: `train-00001`, `test`; None where there is none."""
    found = re.match(r"[a-z]+(?![a-z])", stem.lower())
    return SPLITS.get(found[0]) if found else None


class FileSource(Source):
    """Files of one format. Those whose names begin with a split's are that split; where none does, all are train."""

    def __init__(self, config: DataConfig, files: Sequence[Path]) -> None:
        super().__init__(config)
        self._files = self._by_split(files)
        self._types: dict[str, Any] | None = None
        self._starts: dict[str, list[int]] = {}  # of each split that was read: the first row of each file
        self._told: set[str] = set()

    def _by_split(self, files: Sequence[Path]) -> dict[str, list[Path]]:
        kinds = {formats.kind_of(file): file for file in files}
        if None in kinds:
            raise self._unreadable(
                f"its name ends in {kinds[None].suffix or 'nothing'}; bring it into {', '.join(SUFFIXES)}, texts also "
                f"packed as {' or '.join(PACKINGS)}"
            )
        if len(kinds) > 1:
            one, other = list(kinds.values())[:2]
            raise self._unreadable(f"{one.name} and {other.name} are of different formats; name files of one")
        if len(files) == 1:
            return {"train": list(files)}
        found: dict[str | None, list[Path]] = {}
        for file in sorted(files):
            found.setdefault(split_in(formats.stem_of(file)), []).append(file)
        if None in found and len(found) > 1:
            raise self._unreadable(
                f"the name of {found[None][0].name} begins with no split's, as others do; rename it to begin with "
                "train, validation or test, or name other files"
            )
        order = ("train", "validation", "test")
        return {split: found[split] for split in order if split in found} or {"train": found[None]}

    @property
    def fingerprint(self) -> dict[str, Any]:
        digest = hashlib.blake2b(digest_size=16)
        for file in self._all():
            state = file.stat()
            digest.update(os.fsencode(file) + f"\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
        return {"version": VERSION, "files": digest.hexdigest()}

    def splits(self) -> list[str]:
        return list(self._files)

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return None

    @property
    def reach(self) -> Reach:
        return Reach((self._all()[0].parent,), self.config.paths_outside)

    def file_of(self, split: str, row: int) -> str | None:
        files = self._files[split]
        if len(files) > 1 and split not in self._starts:
            for _ in self._chunks(split, COUNTED):
                pass
        starts = self._starts.get(split, [0])
        return files[max(i for i, start in enumerate(starts) if start <= row)].name

    def _total(self, split: str) -> int | None:
        return formats.rows_in(self._files[split])

    def _all(self) -> list[Path]:
        return [file for files in self._files.values() for file in files]

    def _chunks(self, split: str, size: int) -> Chunks:
        self._starts[split] = starts = []
        names: list[str] | None = None
        bad: list[str] = []
        row = 0
        for file in self._files[split]:
            starts.append(row)

            def on_bad(reason: str, file: Path = file) -> None:
                if self.config.on_bad_row == "fail":
                    self._refuse(file, f"{reason}; or set data.on_bad_row=skip")
                bad.append(f"{file.name}: {reason}")

            try:
                for chunk in formats.chunks(file, size, on_bad, self._column_types()):
                    names = names or list(chunk)
                    self._alike(file, list(chunk), names)
                    yield chunk
                    row += len(next(iter(chunk.values()), []))
            # pyarrow's own errors are subclasses of these
            except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
                self._refuse(file, " ".join(str(error).split()))
        if bad and split not in self._told:
            self._told.add(split)
            say(f"warning: {self.config.source}: skips {len(bad):,} lines that are no rows ({bad[0]}, …)")

    def _column_types(self) -> dict[str, Any] | None:
        """Of CSV files, the columns' types over all of them; None of other formats."""
        if formats.kind_of(self._all()[0]) not in ("csv", "tsv"):
            return None
        if self._types is None:
            import pyarrow as pa

            def blocks() -> Any:
                for file in self._all():
                    self._bound(formats.columns_in(file))
                    texts = dict.fromkeys(formats.csv_names(file), pa.string())
                    yield from formats.csv_blocks(file, texts, formats.pass_over)

            self._types = csv_types.inferred(blocks())
        return self._types

    def _alike(self, file: Path, own: list[str], first: list[str]) -> None:
        self._bound(len(own))
        if len(self._all()) > 1 and set(own) != set(first):
            odd = sorted(set(own) ^ set(first))
            self._refuse(file, f"its columns are not those of the file before it ({listed(odd)}); give all the same")

    def _refuse(self, file: Path, reason: str) -> NoReturn:
        raise self._unreadable(reason if len(self._all()) == 1 else f"{file.name}: {reason}") from None

    def _unreadable(self, reason: str) -> UserError:
        return UserError(f"data.source={self.config.source}: cannot be read: {reason}")
