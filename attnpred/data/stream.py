"""The train split of a source that is trained on as it is read, whatever the kind of data."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.contracts import TargetSpec
from attnpred.data.batching import Integers
from attnpred.data.splits import carving, source_split
from attnpred.data.streaming import Columns, Draw, Prepared, StreamLoader, in_blocks
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


class Stream(ABC):
    """The train split of some data, as a source has it. Each kind of data says how rows are read and prepared."""

    Loader: ClassVar[type[StreamLoader]] = StreamLoader

    def __init__(self, data: Any) -> None:
        """`data` is the `Data` whose split it is."""
        refuse_carving(data.config)
        self._data = data
        self._train = source_split(data.config, "train")
        self._place = f"{self._train[1]}={self._train[0]}"

    def loader(self, *, seed: int, rank: int, world: int) -> StreamLoader:
        config = self._data.config
        return self.Loader(
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

    @abstractmethod
    def _read(self, start: int) -> Iterator[Columns]:
        """Rows from a number on, in chunks of any size: columns of inputs, then those of the target."""

    @abstractmethod
    def _inputs(self, columns: Columns, values: NDArray[Any], numbers: Integers, draw: Draw | None) -> Prepared:
        """Rows of a block, ready to be put into batches, from columns of inputs and the target's values."""

    def _prepared(self, columns: Columns, numbers: Integers, draw: Draw | None) -> Prepared:
        """`numbers` are the rows' own; what changes them at random goes by `draw`, seed and epoch, and not without."""
        data, inputs = self._data, len(columns) - len(self._data.target.columns)
        collector = data._collector(*self._train)
        collector.add_rows(len(columns[0]), columns[inputs:])
        values = data.target.of_rows(collector.finish(), numbers, data.target_spec, self._place)
        return self._inputs(columns[:inputs], values, numbers, draw)

    def _count(self) -> int:
        """The rows of the split, counted once and kept in the cache."""
        columns = self._data._target_columns() or self._data._columns()

        def build(directory: Path) -> None:
            chunks = self._data.source.chunks(*self._train, columns, CHUNK)
            write_json(directory / COUNT_FILE, sum(len(chunk[0]) for chunk in chunks))

        place = self._data._entry("count", self._train, columns, {"version": 1}, "the number of rows", build)
        return int(read_json(place / COUNT_FILE))
