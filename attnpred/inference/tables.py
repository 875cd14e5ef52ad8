"""Rows of a table of new input, chunk by chunk, and which of its columns a model reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from attnpred.config.options import Config
from attnpred.data import formats
from attnpred.data.formats import KINDS
from attnpred.data.utf8 import columns_of
from attnpred.errors import UserError

CHUNK = 4096  # rows at once
KINDS_READ = ("csv", "tsv", "json", "parquet", "arrow")


class Table:
    """A file of rows: CSV, TSV, JSON lines, Parquet or Arrow."""

    def __init__(self, file: Path, flag: str) -> None:
        """`flag` is what the user named the file by."""
        self.file, self.flag = file, flag
        if not file.is_file():
            raise UserError(f"{flag} {file}: no such file; give a table of inputs")
        if formats.kind_of(file) not in KINDS_READ:
            names = ", ".join(name for name, kind in KINDS.items() if kind in KINDS_READ)
            raise UserError(f"{flag} {file}: is no table that is read here; give one of {names}")

    @property
    def rows(self) -> int | None:
        """How many there are, where the file says so."""
        if formats.kind_of(self.file) != "parquet":
            return None
        import pyarrow.parquet as pq

        try:
            return int(pq.ParquetFile(self.file).metadata.num_rows)
        except (OSError, ValueError) as error:
            self._refuse(" ".join(str(error).split()))

    def chunks(self, columns: list[str], size: int = CHUNK, start: int = 0) -> Iterator[dict[str, list[Any]]]:
        """The values of these columns from the row `start` on."""
        passed = 0
        try:
            for chunk in self._read(columns, size):
                self._hold(columns, list(chunk))
                count = len(chunk[columns[0]])
                skipped = min(max(start - passed, 0), count)
                passed += count
                if skipped < count:
                    yield {name: chunk[name][skipped:] for name in columns}
        except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
            self._refuse(" ".join(str(error).split()))

    def _read(self, columns: list[str], size: int) -> Iterator[dict[str, list[Any]]]:
        if formats.kind_of(self.file) != "parquet":
            yield from formats.chunks(self.file, size, self._refuse, self._types())
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.file)
        self._hold(columns, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=size, columns=columns):  # the others may be large
            yield columns_of(pa.Table.from_batches([batch]))

    def _hold(self, columns: list[str], found: list[str]) -> None:
        for name in columns:
            if name not in found:
                self._refuse(f"has no column {name}, but {', '.join(found)}; name one by --column")

    def _types(self) -> dict[str, Any] | None:
        """Of a CSV, that all of its columns are texts: what is read of them are texts, or the names of labels."""
        if formats.kind_of(self.file) not in ("csv", "tsv"):
            return None
        import pyarrow as pa

        return dict.fromkeys(formats.csv_names(self.file), pa.string())

    def _refuse(self, reason: str) -> NoReturn:
        raise UserError(f"{self.flag} {self.file}: {reason}") from None


def input_columns(config: Config, asked: list[str], reader: Any) -> dict[str, str]:
    """Of each input that a model reads the column that holds it; of the only one that column, under no name."""
    if getattr(config.data, "history", None) is not None:
        raise UserError(
            "a row of a table is one moment to this run, which reads many; give the table as one input: attnpred "
            "predict RUN TABLE"
        )
    names = input_names(reader) or _variables(reader)
    if len(asked) not in (0, max(len(names), 1)):
        raise UserError(f"--column: given {len(asked)} times; the model reads {max(len(names), 1)}, so name as many")
    if names and reader.name == "series":
        return dict(zip(names, asked or names, strict=True))
    if names:
        several = getattr(config.data, "inputs", {})
        usual = [_usual(several.get(name, config.data), name) for name in names]
        return dict(zip(names, asked or usual, strict=True))
    return {"": asked[0] if asked else _usual(config.data, reader.name)}


def _variables(reader: Any) -> list[str]:
    """Of a model that reads whole series their variables, a column of lists each; none where one column holds all."""
    whole = reader.name == "series" and reader.whole and reader.sound is None
    return list(reader.spec.names) if whole and len(reader.spec.names) > 1 else []


def _usual(options: Any, name: str) -> str:
    """The column that training read of an input, by the options of its data."""
    for option in (f"{name}_column", f"{options.modality}_column", "source_column", "columns"):
        found = getattr(options, option, None)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, str):
            return found
    return name


def input_names(reader: Any) -> list[str]:
    """Of a model that reads several texts or inputs, their names."""
    if hasattr(reader, "readers"):
        return list(reader.readers)
    return list(reader.spec.names) if reader.name == "text" else []


def values_of(chunk: dict[str, list[Any]], columns: dict[str, str]) -> list[Any]:
    """The inputs of a chunk's rows."""
    if "" in columns:
        return list(chunk[columns[""]])
    rows = zip(*(chunk[name] for name in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]
