"""Rows of texts as a source has them, cleaned, with what is said of those that hold none."""

from collections.abc import Iterator
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.data.sources import Source
from attnpred.errors import BadRow, UserError
from attnpred.modalities.text.tokens import clean

CHUNK = 2000  # texts in memory at once
INPUTS = ("data.text_column", "data.source_column")  # options that name columns of texts that are read
# Columns of texts, those of the target, the evidence, and which rows are usable; None where all are
Rows = tuple[list[list[str]], list[list[Any]], list[Any], list[bool] | None]


def text_rows(
    source: Source,
    config: DataConfig,
    split: tuple[str, str],
    columns: dict[str, str],
    targets: int,
    strip_html: bool,
    start: int | None = None,
) -> Iterator[Rows]:
    """Chunks of the split (its name, and the option that named it): texts come first, then so many of the target.

    Where they come from row `start` on, nothing is said of how far reading is.
    """
    name, option = split
    places = [place for place in columns if place.startswith(INPUTS)]
    named = [columns[place] for place in places]
    if start is None:
        chunks, start = source.chunks_told(name, option, columns, CHUNK), 0
    else:
        chunks = source.chunks(name, option, columns, CHUNK, start)
    for chunk in chunks:
        given, evidence = chunk[: len(named)], chunk[len(named) + targets :]
        usable = None
        if config.on_bad_row == "skip":
            good = [[isinstance(text, str) and bool(text.strip()) for text in column] for column in given]
            usable = [all(row) for row in zip(*good, strict=True)]
            # bad rows keep their place, and are left out by having no target
            given = [[text if u else "" for text, u in zip(c, usable, strict=True)] for c in given]
        for column in given:
            row = next((row for row, text in enumerate(column, start) if not isinstance(text, str)), None)
            if row is not None:
                what = f"{places[0]}={','.join(named)}"
                raise _no_text(what, column[row - start], row, f"{option}={name}")
        cleaned = [[clean(text, strip_html) for text in column] for column in given]
        yield cleaned, chunk[len(named) : len(named) + targets], evidence[0] if evidence else [], usable
        start += len(given[0])


def _no_text(column: str, value: Any, row: int, place: str) -> UserError:
    if value is not None and not isinstance(value, bytes):
        return UserError(f"{column}: holds {type(value).__name__} values; choose a column of texts")
    problem = "has no text" if value is None else "is no text in UTF-8"
    return BadRow(f"{column}: row {row} of {place} {problem}; mend it, or set data.on_bad_row=skip", row)
