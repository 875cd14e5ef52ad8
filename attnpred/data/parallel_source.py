"""Files that go line by line, a column each: `corpus.en+de`, or with a split a group of them `corpus/*.en+de`."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.data.file_source import split_in
from attnpred.data.places import Reach
from attnpred.data.sources import Source
from attnpred.errors import UserError
from attnpred.files import path_of

ENDINGS = re.compile(r"(?P<start>.*\.)(?P<names>[\w-]+(\+[\w-]+)+)", re.DOTALL)
VERSION = 1  # raised when the code finds other rows in the same files
ORDER = ("train", "validation", "test")
Chunks = Iterator[dict[str, list[Any]]]


def is_parallel(source: str) -> bool:
    """Whether the source names files by several endings."""
    return ENDINGS.fullmatch(source) is not None


class ParallelSource(Source):
    """Each ending names a column. A star stands for the splits' names."""

    def __init__(self, config: DataConfig) -> None:
        super().__init__(config)
        found = ENDINGS.fullmatch(config.source)
        assert found is not None
        self.columns = found["names"].split("+")
        if len(set(self.columns)) < len(self.columns):
            raise self._fault(f"names {', '.join(self.columns)}: each must be another; name every side once")
        patterns = [path_of(f"{found['start']}{name}", "data.source=") for name in self.columns]
        self._files = self._by_split(patterns)

    def _by_split(self, patterns: Sequence[Path]) -> dict[str, list[Path]]:
        """The files of each split, one a column."""
        if "*" not in self.config.source:
            return {"train": [self._there(file) for file in patterns]}
        by_split: dict[str, list[Path]] = {}
        for file in sorted(patterns[0].parent.glob(patterns[0].name)):
            split = split_in(file.name)
            if split is None:
                raise self._fault(f"{file.name} begins with no split's name; rename it to train, validation or test")
            if split in by_split:
                raise self._fault(f"{file.name} is another file of the split {split}; leave one of them")
            start, _, end = patterns[0].name.partition("*")
            star = file.name[len(start) : len(file.name) - len(end)]
            others = [self._there(one.with_name(one.name.replace("*", star))) for one in patterns[1:]]
            by_split[split] = [file, *others]
        if not by_split:
            raise self._fault("no file has such a name; give a pattern that fits some")
        return {split: by_split[split] for split in ORDER if split in by_split}

    def _there(self, file: Path) -> Path:
        if not file.is_file():
            raise self._fault(f"{file} is no file; give files that are there, a side each")
        return file

    def _fault(self, reason: str) -> UserError:
        return UserError(f"data.source={self.config.source}: {reason}")

    @property
    def fingerprint(self) -> dict[str, Any]:
        digest = hashlib.blake2b(digest_size=16)
        for file in (file for files in self._files.values() for file in files):
            state = file.stat()
            digest.update(os.fsencode(file.resolve()) + f"\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
        return {"version": VERSION, "columns": self.columns, "files": digest.hexdigest()}

    def splits(self) -> list[str]:
        return list(self._files)

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return None

    @property
    def reach(self) -> Reach:
        return Reach((next(iter(self._files.values()))[0].parent,), self.config.paths_outside)

    def file_of(self, split: str, row: int) -> str | None:
        return self._files[split][0].name

    def _chunks(self, split: str, size: int) -> Chunks:
        files = self._files[split]
        try:
            # a line ends where the file says so, and nowhere else: texts may hold other separators
            opened = [file.open(encoding="utf-8", newline="\n") for file in files]
            try:
                rows = zip_longest(*opened)
                count = 0
                while chunk := list(islice(rows, size)):
                    for row in chunk:
                        if any(line is None for line in row):
                            raise self._uneven(files, count)
                        count += 1
                    yield {
                        name: [line.rstrip("\r\n") for line in lines]
                        for name, lines in zip(self.columns, zip(*chunk, strict=True), strict=True)
                    }
            finally:
                for one in opened:
                    one.close()
        except UnicodeDecodeError as error:
            raise self._fault(f"is not UTF-8 text ({error.reason}); convert it") from None

    def _uneven(self, files: Sequence[Path], common: int) -> UserError:
        counts = []
        for file in files:
            with file.open("rb") as lines:
                counts.append(f"{file.name} has {sum(1 for _ in lines):,} lines")
        return self._fault(f"{', '.join(counts)}; they go together line by line up to {common:,}: mend one")
