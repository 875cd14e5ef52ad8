"""Sentences in columns, as the shared tasks of CoNLL have them: a line a word, a blank line behind each sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.data.utf8 import decoded

DOCUMENT = "-DOCSTART-"  # a line that only begins a document
WORDS, TAGS = "tokens", "tags"  # names of the first and the last column


def sentences(file: Path, size: int) -> Iterator[dict[str, list[Any]]]:
    """Up to `size` sentences at a time; those between are called column_2, column_3 and so on.

    Raises ValueError for a line with another number of columns than the first.
    """
    chunk: list[list[list[str]]] = []  # sentences of lines of columns
    lines: list[list[str]] = []
    names: list[str] = []
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            fields = _fields(line, number)
            if fields and fields[0] != DOCUMENT and not _comment(fields, names):
                names = names or _names(len(fields), number)
                if len(fields) != len(names):
                    raise ValueError(f"line {number} has {len(fields)} columns, the first has {len(names)}")
                lines.append(fields)
            elif not fields and lines:
                chunk.append(lines)
                lines = []
                if len(chunk) == size:
                    yield _columns(chunk, names)
                    chunk = []
    chunk += [lines] if lines else []
    if chunk:
        yield _columns(chunk, names)


def _fields(line: bytes, number: int) -> list[str]:
    """Columns are parted by tabs where the line has any, else by spaces; a blank line has none."""
    text = decoded(line)
    if not isinstance(text, str):
        raise ValueError(f"line {number} is not UTF-8; convert the file")
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return []
    return [field.strip() for field in text.split("\t")] if "\t" in text else text.split()


def _comment(fields: list[str], names: list[str]) -> bool:
    """As in `# id = 7`; a # with as many columns as other words have is a word."""
    return fields[0] == "#" and len(fields) != (len(names) or 2)


def _names(count: int, number: int) -> list[str]:
    if count < 2:
        raise ValueError(f"line {number} has one column; write a word, and its tag in the last column")
    return [WORDS, *(f"column_{i}" for i in range(2, count)), TAGS]


def _columns(chunk: list[list[list[str]]], names: list[str]) -> dict[str, list[Any]]:
    return {name: [[line[i] for line in lines] for lines in chunk] for i, name in enumerate(names)}
