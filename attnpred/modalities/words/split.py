"""Words of a text that nobody split, and tokens of words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnpred.modalities.text.tokens import Vocabulary

# an address, a name or a tag of a message, a word with what is inside it, or a sign that stands alone
WORD = re.compile(r"https?://\S+|[@#]?\w+(?:[-.'’&]\w+)*|[^\w\s]")
Span = tuple[int, int]


@dataclass(frozen=True)
class Words:
    """A text, and where in it each word begins and ends."""

    text: str
    spans: tuple[Span, ...]

    @classmethod
    def of_text(cls, text: str) -> "Words":
        return cls(text, tuple(match.span() for match in WORD.finditer(text)))

    @classmethod
    def of_list(cls, words: Sequence[str]) -> "Words":
        """With a space between each two."""
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        return cls(" ".join(words), tuple((int(e) - len(w), int(e)) for w, e in zip(words, ends, strict=True)))

    @property
    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def encode(vocabulary: Vocabulary, rows: Sequence[Sequence[str]]) -> tuple[list[list[int]], list[NDArray[np.bool_]]]:
    """Token ids of each row's words, without special tokens, and which of them begin a word.

    Each word has one token at least, the unknown one where the tokenizer sees nothing in it; so has a row of no words.
    """
    # tokenizers that tell by a space before it that a word begins see one, but before the first
    pieces = iter(vocabulary.ids([word if i == 0 else f" {word}" for row in rows for i, word in enumerate(row)]))
    ids, begins = [], []
    for row in rows:
        own = [next(pieces) for _ in row] or [[vocabulary.unknown_id]]
        ids.append([number for word in own for number in word])
        marks = np.zeros(len(ids[-1]), bool)
        marks[np.cumsum([0, *map(len, own[:-1])])] = bool(row)
        begins.append(marks)
    return ids, begins
