"""Where in an example its label was decided, as a source records it: spans of a text, boxes of an image."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.errors import BadRow
from attnpred.files import named

EVIDENCE_FILE = "evidence.bin"
Marks = NDArray[np.bool_]


def append_evidence(directory: Path, marks: NDArray[Any]) -> None:
    """Adds a chunk's marks to those that lie beside the examples in an entry being made."""
    with (directory / EVIDENCE_FILE).open("ab") as file:
        file.write(marks.tobytes())


def stored_evidence(directory: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any] | None:
    """The marks that `append_evidence` left, read as they are needed; None where there are none."""
    path = directory / EVIDENCE_FILE
    with named(path):
        return np.memmap(path, dtype, mode="r", shape=shape) if path.exists() else None


class EvidenceColumn:
    """Turns an evidence column into marks, chunk by chunk; `place` (the split) says where a bad row is."""

    def __init__(self, column: str, place: str) -> None:
        self._column, self._place = column, place
        self._row = 0

    def on_tokens(
        self, values: Iterable[Any], texts: Iterable[str], spans: Iterable[Sequence[tuple[int, int]]]
    ) -> list[Marks]:
        """Of each text, which tokens show some of the evidence; `spans` say where they begin and end."""
        found = zip(values, texts, spans, strict=True)
        return [self._next(mark_tokens, value, text, places) for value, text, places in found]

    def on_pixels(self, values: Iterable[Any], height: int, width: int) -> list[Marks]:
        """Of each image, which pixels lie in a box, (height, width)."""
        return [self._next(mark_pixels, value, height, width) for value in values]

    def _next(self, mark: Callable[..., Marks], value: Any, *example: Any) -> Marks:
        try:
            marks = mark(value, *example)
        except ValueError as error:
            raise BadRow(
                f"data.evidence_column={self._column}: row {self._row} of {self._place} {error}; "
                "mend it, or name another column",
                self._row,
            ) from error
        self._row += 1
        return marks


def mark_tokens(value: Any, text: str, places: Sequence[tuple[int, int]]) -> Marks:
    """Which of the tokens at `places` share a character with one of the value's spans.

    A text without tokens of its own has one that is nowhere, and unmarked.
    """
    begins, ends = np.array(places or [(0, 0)], np.int64).T
    marks = np.zeros(len(begins), bool)
    for start, end in _numbers(value, "[start, end)"):
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"has evidence [{start}, {end}) in a text of {len(text)} characters")
        # a token can begin with the space before its word, which a span may end with
        shown = text[start:end].strip()
        start += len(text[start:end]) - len(text[start:end].lstrip())
        marks |= (begins < start + len(shown)) & (ends > start) & bool(shown)
    return marks


def mark_pixels(value: Any, height: int, width: int) -> Marks:
    """Which pixels, (height, width), lie in one of the value's boxes."""
    marks = np.zeros((height, width), bool)
    for left, top, right, bottom in _numbers(value, "[left, top, right, bottom)"):
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
            raise ValueError(f"has evidence [{left}, {top}, {right}, {bottom}) in an image of {height} × {width}")
        marks[top:bottom, left:right] = True
    return marks


def _numbers(value: Any, form: str) -> list[list[int]]:
    """The value's spans or boxes; none where it is null."""
    size = form.count(",") + 1
    found = [] if value is None else value
    if not isinstance(found, list) or not all(_whole(one, size) for one in found):
        raise ValueError(f"is no list of {form} in whole numbers")
    return found


def _whole(one: Any, size: int) -> bool:
    return isinstance(one, list) and len(one) == size and all(type(number) is int for number in one)
