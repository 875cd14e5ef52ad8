"""Rows of one file, as chunks of columns: CSV, TSV, JSON lines, Parquet, Arrow and CoNLL, texts plain or packed."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from attnpred.data.conll import sentences
from attnpred.data.csv_types import Types
from attnpred.data.utf8 import columns_of, decoded

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".conll": "conll",
}
PACKINGS = {".gz": "gzip", ".zst": "zstd"}
PACKED = ("csv", "tsv", "json")  # kinds that may be packed; the others pack by themselves
BLOCK = 2**24  # bytes of a CSV read at once; no row may be longer
LONGEST_LINE = 2**26  # bytes of JSON
LONGEST_HEADER = 2**22
SHOWN = 60  # characters of a bad row
Chunks = Iterator[dict[str, list[Any]]]
# What becomes of a row that cannot be read: told which it is and what is wrong, it raises, or passes it over
OnBad = Callable[[str], None]


def pass_over(reason: str) -> None:
    """An `OnBad` that says nothing."""


class Unreadable(ValueError):
    """A file's fault, for whoever knows how the user named it."""


def kind_of(file: Path) -> str | None:
    """The format, by the file's name; None where it is none that is read here."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKINGS:
        kind = KINDS.get(suffixes[-2]) if len(suffixes) > 1 else None
        return kind if kind in PACKED else None
    return KINDS.get(suffixes[-1]) if suffixes else None


def stem_of(file: Path) -> str:
    """The name without what says the format."""
    name = file.name
    if file.suffix.lower() in PACKINGS:
        name = name[: -len(file.suffix)]
    return Path(name).stem


def opened(file: Path) -> Any:
    """The file's bytes, unpacked as they are read."""
    if not file.is_file():  # a pipe, opened, would wait for ever
        raise Unreadable("is no file")
    packing = PACKINGS.get(file.suffix.lower())
    if packing is None:
        return file.open("rb")
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(str(file), compression=packing))


def rows_in(files: Iterable[Path]) -> int | None:
    """How many rows Parquet files say that they have; None where one is of another kind, or cannot be read."""
    import pyarrow.parquet as pq

    total = 0
    for file in files:
        if kind_of(file) != "parquet":
            return None
        try:
            total += pq.read_metadata(file).num_rows
        except (OSError, ValueError):  # told by whoever reads the rows
            return None
    return total


def columns_in(file: Path) -> int:
    """About how many columns the first line of a CSV names; 0 of other files. Libraries take long over very many."""
    delimiter = {"csv": b",", "tsv": b"\t"}.get(kind_of(file) or "")
    if delimiter is None:
        return 0
    with opened(file) as lines:
        return int(lines.readline(LONGEST_HEADER).count(delimiter)) + 1


def chunks(file: Path, size: int, on_bad: OnBad, types: Types | None = None) -> Chunks:
    """The file's rows, at most `size` in a chunk; `types` are the columns' of a CSV, where they are known.

    Raises OSError or ValueError, as pyarrow's own errors are, or what `on_bad` raises.
    """
    kind = kind_of(file)
    if kind == "json":
        yield from _json_lines(file, size, on_bad)
        return
    if kind == "conll":
        yield from sentences(file, size)
        return
    import pyarrow as pa

    batches = {"parquet": _parquet, "arrow": _arrow}
    found = batches[kind](file, size) if kind in batches else csv_blocks(file, types, on_bad)
    for batch in found:
        table = pa.Table.from_batches([batch])
        for start in range(0, len(table), size):
            yield columns_of(table.slice(start, size))


def csv_names(file: Path) -> list[str]:
    """The columns that the first line names."""
    names: list[str] = next(csv_blocks(file, None, pass_over))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Unreadable(f"two columns are called {twice}; rename one")
    return names


def csv_blocks(file: Path, types: Types | None, on_bad: OnBad) -> Iterator[Any]:
    """Record batches; with `types` None the names of the columns alone.

    Of columns of numbers an empty field is missing; a text may be empty.
    """
    from pyarrow import csv

    wrong: list[BaseException] = []

    def invalid(row: Any) -> str:
        # records count from 1, the names of the columns among them
        reason = f"has {row.actual_columns} fields, not {row.expected_columns} ({row.text[:SHOWN]!r})"
        try:
            on_bad(f"row {row.number - 2} {reason}")
        except Exception as error:  # must not leave through the library's own code
            wrong.append(error)
            return "error"
        return "skip"

    with opened(file) as stream:
        try:
            reader = _quietly(
                csv.open_csv,
                stream,
                # one thread: it alone knows a row's number
                read_options=csv.ReadOptions(block_size=BLOCK, use_threads=False),
                parse_options=csv.ParseOptions(
                    delimiter="\t" if kind_of(file) == "tsv" else ",",
                    newlines_in_values=True,
                    invalid_row_handler=invalid,
                ),
                convert_options=csv.ConvertOptions(check_utf8=False, column_types=types or {}),
            )
            if types is None:
                yield list(reader.schema.names)
                return
            while (batch := _quietly(next, reader, None)) is not None:
                yield batch
        except ValueError as error:
            if wrong:
                raise wrong[0] from None
            if "straddling" in str(error):
                raise Unreadable(f"a row is longer than {BLOCK // 2**20} MiB, or a quote is not closed") from error
            raise


def _quietly(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Without the traceback that the library prints, beside its error, of a wrong row that is not UTF-8."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        return call(*given, **named)
    finally:
        sys.unraisablehook = before


def _parquet(file: Path, size: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    yield from pq.ParquetFile(file).iter_batches(batch_size=size)


def _arrow(file: Path, size: int) -> Iterator[Any]:
    """Both forms, with an index at the end or without. Places in it come from its writer, and are looked at first."""
    import pyarrow as pa

    with opened(file) as stream:
        indexed = stream.read(6) == b"ARROW1"
    with pa.OSFile(str(file)) as source:
        reader = pa.ipc.open_file(source) if indexed else pa.ipc.open_stream(source)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if indexed else iter(reader)
        for batch in batches:
            batch.validate(full=True)
            yield batch


def _json_lines(file: Path, size: int, on_bad: OnBad) -> Chunks:
    """An object a line. What one lacks that the first has is missing."""
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    number = 0
    with opened(file) as lines:
        while line := lines.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                raise Unreadable(f"line {number} is longer than {LONGEST_LINE // 2**20} MiB; cut it")
            if not line.strip():
                continue
            found = _object(line)
            if isinstance(found, str):
                on_bad(f"line {number} {found}")
                continue
            names = names or list(found)
            rows.append(found)
            if len(rows) == size:
                yield {name: [one.get(name) for one in rows] for name in names}
                rows = []
    if rows:
        yield {name: [one.get(name) for one in rows] for name in names}


def _object(line: bytes) -> dict[str, Any] | str:
    """The line's object, or what is wrong with it."""
    text = decoded(line)
    if not isinstance(text, str):
        return "is not UTF-8; convert the file"
    try:
        row: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({error}); write an object a line"
    return row if isinstance(row, dict) else "is not a JSON object; write an object a line"
