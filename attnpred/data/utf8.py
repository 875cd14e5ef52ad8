"""Texts that should be UTF-8 and may be none: read all the same, and named by file and line."""

from pathlib import Path
from typing import Any

from attnpred.data.places import files

TEXT_FILES = (".csv", ".tsv", ".json", ".jsonl", ".txt")


def columns_of(table: Any) -> dict[str, list[Any]]:
    """An Arrow table's columns; a text that is not UTF-8 stays the bytes that it is."""
    try:
        found: dict[str, list[Any]] = table.to_pydict()
        return found
    except UnicodeDecodeError:
        import pyarrow as pa

        texts = [pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in table.schema]
        columns = zip(table.column_names, table.columns, texts, strict=True)
        return {
            name: list(map(decoded, column.cast(pa.large_binary()).to_pylist())) if text else column.to_pylist()
            for name, column, text in columns
        }


def decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def not_utf8(directory: Path) -> str | None:
    """The first line below the directory that should be text and is none, and the file it stands in."""
    for file in (path for path in files(directory) if path.suffix in TEXT_FILES):
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if isinstance(decoded(line), bytes):
                    return f"line {number} of {file.relative_to(directory)}"
    return None
