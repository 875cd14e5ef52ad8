"""Rows of one file of the user's: CSV, TSV, JSON lines, Parquet or CoNLL columns. It is a single split, train."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.data.conll import sentences
from attnpred.data.places import Reach, columns_in
from attnpred.data.sources import Source
from attnpred.data.utf8 import columns_of, decoded
from attnpred.errors import UserError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".conll")


class FileSource(Source):
    def __init__(self, config: DataConfig, file: Path) -> None:
        super().__init__(config)
        self._file = file
        if file.suffix.lower() not in SUFFIXES:
            raise self._unreadable(f"its name ends in {file.suffix or 'nothing'}; bring it into {', '.join(SUFFIXES)}")

    @property
    def fingerprint(self) -> dict[str, Any]:
        state = self._file.stat()
        return {"file": str(self._file), "bytes": state.st_size, "changed": state.st_mtime_ns}

    def splits(self) -> list[str]:
        return ["train"]

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return None

    @property
    def reach(self) -> Reach:
        return Reach((self._file.parent,), self.config.paths_outside)

    def file_of(self, split: str, row: int) -> str | None:
        return self._file.name

    def _chunks(self, split: str, size: int) -> Iterator[dict[str, list[Any]]]:
        read = {".csv": self._csv, ".tsv": self._csv, ".parquet": self._parquet, ".conll": self._conll}
        try:
            yield from read.get(self._file.suffix.lower(), self._json_lines)(size)
        # pyarrow's own errors are subclasses of these
        except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
            raise self._unreadable(" ".join(str(error).split())) from error

    def _csv(self, size: int) -> Iterator[dict[str, list[Any]]]:
        """The first line names the columns. Of columns of numbers an empty field is missing; a text may be empty."""
        from pyarrow import csv

        self._bound(columns_in(self._file))
        delimiter = "\t" if self._file.suffix.lower() == ".tsv" else ","
        table = csv.read_csv(
            self._file,
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(check_utf8=False),
        )
        for start in range(0, len(table), size):
            yield columns_of(table.slice(start, size))

    def _parquet(self, size: int) -> Iterator[dict[str, list[Any]]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(self._file).iter_batches(batch_size=size):
            yield columns_of(pa.Table.from_batches([batch]))

    def _conll(self, size: int) -> Iterator[dict[str, list[Any]]]:
        return sentences(self._file, size)

    def _json_lines(self, size: int) -> Iterator[dict[str, list[Any]]]:
        """An object a line. What one lacks that the first has is missing."""
        rows: list[dict[str, Any]] = []
        names: list[str] = []
        with self._file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row = self._object(line, number)
                names = names or list(row)
                rows.append(row)
                if len(rows) == size:
                    yield {name: [one.get(name) for one in rows] for name in names}
                    rows = []
        if rows:
            yield {name: [one.get(name) for one in rows] for name in names}

    def _object(self, line: bytes, number: int) -> dict[str, Any]:
        text = decoded(line)
        if not isinstance(text, str):
            raise self._unreadable(f"line {number} is not UTF-8; convert the file")
        try:
            row: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._unreadable(f"line {number} is not JSON ({error}); write an object a line") from None
        if not isinstance(row, dict):
            raise self._unreadable(f"line {number} is not a JSON object; write an object a line")
        self._bound(len(row))
        return row

    def _unreadable(self, reason: str) -> UserError:
        return UserError(f"data.source={self.config.source}: cannot be read: {reason}")
