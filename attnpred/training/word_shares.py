"""How a teacher shares its attention out over a text's words, laid on the tokens that a student reads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.modalities.text.words import word_of

SHARES, OFFSETS = "shares.npy", "offsets.npy"
Shares = list[NDArray[np.floating[Any]]]  # of each text of a row, what falls on each of its words


class WordShares:
    """Of every token of every row its share; rows that were not asked about have none."""

    def __init__(self, directory: Path, reader: Any) -> None:
        self._reader, self._texts = reader, max(len(reader.spec.names), 1)
        self._shares = np.load(directory / SHARES, allow_pickle=False, mmap_mode="r")
        self._offsets = np.load(directory / OFFSETS, allow_pickle=False)  # (rows x texts + 1,)

    def on_parts(self, ids: Sequence[int], length: int) -> Tensor:
        """(batch, length): the shares of these rows' tokens, cut as they are, which sum to 1 where there are any."""
        spec, found = self._reader.spec, np.zeros((len(ids), length), np.float32)
        for row, number in enumerate(ids):
            bounds = self._offsets[number * self._texts : (number + 1) * self._texts + 1]
            texts = [self._shares[start:end] for start, end in pairwise(bounds)]
            place = len(spec.prefix)
            for text, kept in zip(texts, self._reader._shares(np.diff(bounds)), strict=True):
                self._reader._cut(text, found[row, place : place + kept])
                place += kept + len(spec.between)
        total = found.sum(1, keepdims=True)
        return torch.from_numpy(np.divide(found, total, out=found, where=total > 0))

    @staticmethod
    def write(
        directory: Path, found: Mapping[int, Shares], rows: Iterable[tuple[int, list[str]]], reader: Any, count: int
    ) -> None:
        """Lays what was `found` of the `rows`, by their numbers, on the tokens of the student's `reader`."""
        texts = max(len(reader.spec.names), 1)
        lengths = np.zeros((count, texts), np.int64)
        laid: list[NDArray[Any]] = []
        for number, row in rows:  # in ascending order
            for place, (text, shares) in enumerate(zip(row, found[number], strict=True)):
                laid.append(_on_tokens(text, shares, reader.vocabulary))
                lengths[number, place] = len(laid[-1])
        np.save(directory / SHARES, np.concatenate(laid) if laid else np.zeros(0, np.float16))
        np.save(directory / OFFSETS, np.concatenate(([0], lengths.ravel().cumsum())))


def shares_on_words(described: Iterator[dict[str, Any]]) -> Iterator[Shares]:
    """What a reading's descriptions say of each example."""
    for one in described:
        shares = np.array(one["attention"], np.float32)
        counts: Sequence[int] = list(one["texts"].values()) if "texts" in one else [len(shares)]
        yield np.split(shares, np.cumsum(counts)[:-1])


def _on_tokens(text: str, shares: NDArray[np.floating[Any]], vocabulary: Any) -> NDArray[np.float16]:
    """A word's share lies evenly on its tokens; nothing where the teacher saw other words."""
    ((ids, spans),) = vocabulary.ids_and_spans([text])
    ends = np.array([max(start, end - 1) for start, end in spans], np.int64)
    if not len(spans) or len(text.split()) != len(shares):
        return np.zeros(len(ids), np.float16)
    words = word_of(text, ends)
    counts = np.bincount(words, minlength=len(shares))
    return (shares[words] / counts[words]).astype(np.float16)
