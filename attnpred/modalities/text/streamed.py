"""Texts that are trained on as they are read: tokenized a block at a time, and never kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.contracts import Batch, TargetSpec
from attnpred.data.batching import Integers
from attnpred.data.splits import carving, source_split
from attnpred.data.streaming import Columns, StreamLoader, in_blocks
from attnpred.errors import UserError
from attnpred.files import read_json, write_json

COUNT_FILE = "rows.json"
CHUNK = 10_000  # rows read at once, where they are counted or only their targets matter


def refuse_carving(config: DataConfig) -> None:
    if carving(config):
        raise UserError(
            "data.stream=true: rows that are read as they come cannot be carved; name data.val_split and "
            "data.test_split, or set data.stream=false"
        )


class TextStream:
    """The train split of text data, as a source has it."""

    def __init__(self, data: Any) -> None:
        """`data` is the `TextData` whose split it is."""
        refuse_carving(data.config)
        self._data = data
        self._train = source_split(data.config, "train")
        self._place = f"{self._train[1]}={self._train[0]}"

    def loader(self, *, seed: int, rank: int, world: int) -> StreamLoader:
        config = self._data.config
        return StreamLoader(
            self._read,
            self._prepared,
            config.stream_rows or self._count(),
            batch_size=config.batch_size,
            buffer=config.stream_buffer,
            place=self._place,
            seed=seed,
            rank=rank,
            world=world,
        )

    def target_spec(self) -> TargetSpec:
        """The target's specification, from as many rows as are shuffled together."""
        chunks = self._data.source.chunks(*self._train, self._data._target_columns(), CHUNK)
        collector = self._data._collector(*self._train)
        collector.add(next(in_blocks(chunks, self._data.config.stream_buffer)))
        stored, target = collector.finish(), self._data.target
        rows = np.flatnonzero(target.usable(stored))
        found: TargetSpec = target.spec(stored, rows)
        if len(rows):
            place = f"the first {len(stored.values):,} rows of {self._place}"
            try:
                target.check_varied(target.adapted(stored, rows, found, place), found, place)
            except UserError as error:
                raise UserError(
                    f"{error}; or shuffle the rows: only data.stream_buffer={self._data.config.stream_buffer} of them "
                    "are shuffled together"
                ) from None
        return found

    def _read(self, start: int) -> Iterator[Columns]:
        for texts, targets, _, _ in self._data.train_rows_from(start):
            yield [*texts, *targets]

    def _prepared(self, columns: Columns, numbers: Integers) -> "StreamedTexts":
        data, texts = self._data, len(self._data.config.text_columns())
        collector = data._collector(*self._train)
        collector.add(columns[texts:])
        values = data.target.of_rows(collector.finish(), numbers, data.target_spec, self._place)
        return StreamedTexts(data, columns[:texts], values, numbers)

    def _count(self) -> int:
        """The rows of the split, counted once and kept in the cache."""
        columns = self._data._target_columns()

        def build(directory: Path) -> None:
            chunks = self._data.source.chunks(*self._train, columns, CHUNK)
            write_json(directory / COUNT_FILE, sum(len(chunk[0]) for chunk in chunks))

        place = self._data._entry("count", self._train, columns, {"version": 1}, "the number of rows", build)
        return int(read_json(place / COUNT_FILE))


class StreamedTexts:
    """Rows of a block, ready to be put into batches."""

    def __init__(self, data: Any, columns: Columns, values: NDArray[Any], numbers: Integers) -> None:
        """`columns` of texts that are read together, `values` of the target, and the rows' `numbers` in the source."""
        self._reader, self._target = data.reader, data.target
        self._values, self._numbers = values, numbers.astype(np.int64)
        ids = self._reader.vocabulary.ids([text for row in zip(*columns, strict=True) for text in row])
        several = len(columns)
        self._rows = [[np.array(one) for one in ids[i : i + several]] for i in range(0, len(ids), several)]

    @property
    def lengths(self) -> Integers:
        found: Integers = self._reader.lengths(np.array([sum(map(len, row)) for row in self._rows], np.uint32))
        return found

    def batch(self, positions: Integers) -> Batch:
        texts = self._reader.collate([self._rows[i] for i in positions])
        return Batch(
            inputs={self._reader.name: texts},
            targets=self._target.tensors(self._values[positions]),
            ids=torch.from_numpy(self._numbers[positions]),
        )
