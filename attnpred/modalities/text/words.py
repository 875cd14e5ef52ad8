"""Which words tokens belong to, and what falls on each word."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data.batching import Integers

BEYOND_SPACES = 0x3001  # no character from here on parts words
SPACE = np.array([*(chr(point).isspace() for point in range(BEYOND_SPACES)), False])


def spell(tokenizer: Any, tokens: list[int]) -> tuple[list[str], list[int]]:
    """The words that tokens spell, and which of them each token belongs to; special tokens to none, which is -1."""
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    words: list[str] = []
    places: list[int] = []
    for token in tokens:
        piece = stream.step(tokenizer, token)
        if piece is None:
            places.append(-1)
            continue
        if not words or piece.startswith(" "):
            words.append(piece.strip())
        else:
            words[-1] += piece
        places.append(len(words) - 1)
    return words, places


def shares_of(amounts: NDArray[np.floating[Any]], signed: bool) -> NDArray[np.floating[Any]]:
    """What falls on each word, as shares of it all; signed amounts stay as they are."""
    if signed:
        return amounts
    total = amounts.sum()
    return amounts / total if total > 0 else np.full(len(amounts), 1 / max(len(amounts), 1))


def by_word(text: str, last: Integers, importance: NDArray[np.float32]) -> tuple[list[str], NDArray[np.floating[Any]]]:
    """The text's own words and what falls on each, from what falls on the tokens which end at `last`.

    A word that was cut off has 0.
    """
    words = text.split()
    if not words:
        return [], np.zeros(0)
    return words, np.bincount(word_of(text, last), importance, minlength=len(words)).astype(float)


def word_of(text: str, last: Integers) -> NDArray[np.int64]:
    """The number of the text's own word to which each of the tokens belongs which end at `last`."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    inside = np.concatenate(([False], ~SPACE[np.minimum(points, BEYOND_SPACES)]))
    starts = np.flatnonzero(inside[1:] & ~inside[:-1])
    return np.asarray((np.searchsorted(starts, last, side="right") - 1).clip(min=0), np.int64)
