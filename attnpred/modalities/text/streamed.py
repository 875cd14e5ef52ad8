"""Texts that are trained on as they are read: tokenized a block at a time, and never kept."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Batch
from attnpred.data.batching import Integers
from attnpred.data.itself_target import ItselfTarget
from attnpred.data.stream import Stream
from attnpred.data.streaming import Columns
from attnpred.modalities.text.packing import packed


class TextStream(Stream):
    """The train split of text data."""

    def _read(self, start: int) -> Iterator[Columns]:
        for texts, targets, _, _ in self._data.train_rows_from(start):
            yield [*texts, *targets]

    def _inputs(self, columns: Columns, values: NDArray[Any], numbers: Integers, draw: Any) -> "StreamedTexts":
        return StreamedTexts(self._data, columns, values, numbers, trains=draw is not None)


class StreamedTexts:
    """Rows of a block, ready to be put into batches."""

    def __init__(
        self, data: Any, columns: Columns, values: NDArray[Any], numbers: Integers, *, trains: bool = True
    ) -> None:
        """`columns` of texts that are read together, `values` of the target, and the rows' `numbers` in the source."""
        self._data, self._trains = data, trains
        self._packs = trains and isinstance(data.target, ItselfTarget) and data.target.packs and len(columns) == 1
        self._reader, self._target = data.reader, data.target
        self._values, self._numbers = values, numbers.astype(np.int64)
        ids = self._reader.vocabulary.ids([text for row in zip(*columns, strict=True) for text in row])
        several = len(columns)
        self._rows = [[np.array(one) for one in ids[i : i + several]] for i in range(0, len(ids), several)]

    @property
    def lengths(self) -> Integers:
        if self._packs:
            return np.ones(len(self._rows), np.uint32)
        found: Integers = self._reader.lengths(np.array([sum(map(len, row)) for row in self._rows], np.uint32))
        return found

    def batch(self, positions: Integers) -> Batch:
        if self._packs:
            return packed([self._rows[i][0] for i in positions], self._numbers[positions], self._reader)
        texts = self._reader.collate([self._rows[i] for i in positions])
        found = Batch(
            inputs={self._reader.name: texts},
            targets=self._target.tensors(self._values[positions]),
            ids=torch.from_numpy(self._numbers[positions]),
        )
        return found if self._trains else self._data._posed(found)
