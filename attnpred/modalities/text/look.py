"""A look at texts before training: empty and odd ones, lengths, near duplicates."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from attnpred.data import twins
from attnpred.data.look import Look
from attnpred.data.reservoir import Reservoir
from attnpred.data.store import digest

MARKUP = re.compile(r"<br\s*/?>|</?[pib]>|&(amp|quot|lt|gt|#\d+);", re.IGNORECASE)
SKIP = "set data.on_bad_row=skip, or mend them"


class TextLook(Look):
    MOST_SIGNED: ClassVar[int] = 50_000

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._words, self._longer = Reservoir(), 0
        self._signed: list[int] = []
        self._signatures: list[NDArray[np.uint32]] = []

    def add(self, columns: Sequence[list[Any]]) -> list[bool]:
        usable = []
        for texts in zip(*columns, strict=True):
            row = len(self.digests)
            usable.append(all(isinstance(text, str) and bool(text.strip()) for text in texts))
            if all(isinstance(text, str) for text in texts):
                self.digests.append(digest(text.encode("utf-8", "surrogatepass") for text in texts))
                self._see(row, "\n".join(texts))
            else:
                self.digests.append(digest([b"no text", row.to_bytes(8, "little")]))
                found = next(text for text in texts if not isinstance(text, str))
                what = "without text" if found is None else "no text in UTF-8"
                self.odd(row, what if found is None or isinstance(found, bytes) else "no text at all", SKIP)
        return usable

    def _see(self, row: int, text: str) -> None:
        words = len(text.split())
        self._words.add(words)
        self._longer += words > self.config.max_length
        if not words:
            self.odd(row, "empty", SKIP)
            return
        if not self.config.strip_html and MARKUP.search(text):
            self.odd(row, "with HTML", "set data.strip_html=true")
        if len(self._signed) < self.MOST_SIGNED:
            self._signed.append(row)
            self._signatures.append(twins.signature_of(text))

    def near(self) -> Iterator[tuple[int, int]]:
        if self._signed:
            for one, other in twins.near_by_shares(np.stack(self._signatures)):
                pair = self._signed[one], self._signed[other]
                if self.digests[pair[0]] != self.digests[pair[1]]:
                    yield pair

    def facts(self) -> list[tuple[str, str]]:
        found = self._words.quantiles()
        if found is None:
            return []
        least, median, most_of, most = found
        share = self._longer / self._words.count
        cut = f"{share:.1%} of the texts have more words than data.max_length={self.config.max_length}, and are cut"
        return [
            ("words a text", f"{least:,.0f} to {most:,.0f}, median {median:,.0f}, 95 % have at most {most_of:,.0f}"),
            *([("cut", cut)] if self._longer else []),
        ]


LOOK = TextLook
