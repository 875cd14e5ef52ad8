"""A look at lists of words before training: as at texts, in which a space parts the words."""

from collections.abc import Sequence
from typing import Any

from attnpred.modalities.text.look import TextLook


class WordsLook(TextLook):
    def add(self, columns: Sequence[list[Any]]) -> list[bool]:
        return super().add([[_as_text(words) for words in column] for column in columns])


def _as_text(words: Any) -> Any:
    known = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return " ".join(words) if known else words


LOOK = WordsLook
