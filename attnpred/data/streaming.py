"""Training straight from a source: rows are read in blocks, shuffled within each, and never all of them prepared.

A batch depends on the seed, the epoch and its place alone. A run therefore goes on at any batch: the source is read
from the row on where that batch's block begins. No buffer has to be kept in a checkpoint.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from math import ceil
from typing import Any, Protocol

import numpy as np

from attnpred.contracts import Batch
from attnpred.data.batching import SLACK, Integers, Positioned, in_order
from attnpred.errors import UserError

Columns = list[list[Any]]  # of a number of rows, the values of each column
Draw = tuple[int, int]  # seed and epoch, by which rows are changed at random


class Prepared(Protocol):
    """Rows that are ready to be put into batches."""

    @property
    def lengths(self) -> Integers: ...

    def batch(self, positions: Integers) -> Batch: ...


class StreamLoader(Positioned):
    """Batches of a source's rows for one process, in place of `BatchLoader` where there is no prepared split.

    Every process reads all rows and prepares its share of them. One epoch has the same number of batches on each.
    """

    def __init__(
        self,
        read: Callable[[int], Iterable[Columns]],
        prepare: Callable[[Columns, Integers, Draw | None], Prepared],
        rows: int,
        *,
        batch_size: int,
        buffer: int,
        place: str,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """`read` yields rows from a number on, in chunks of any size. `prepare` is given rows, their numbers, and what
        random changes of theirs go by; without that there are none.

        `rows` are those of an epoch, `buffer` those that are shuffled together; `place` names the split in errors.
        """
        self._step = batch_size * world  # rows of a step on all processes
        self._count = rows // self._step
        if self._count == 0:
            raise UserError(
                f"{place}: has {rows:,} rows, too few for one batch of {self._step:,} on all devices; lower "
                "data.batch_size, or set data.stream=false"
            )
        self._block = max(1, buffer // self._step)  # steps of a block
        self._read, self._prepare, self._place = read, prepare, place
        self._batch_size, self._seed, self._rank, self._world = batch_size, seed, rank, world

    def __len__(self) -> int:
        return self._count

    def largest(self) -> Batch:
        """A batch of the longest rows of the first block, which stand for all."""
        prepared, by_length = self._first(self._block * self._step)
        return prepared.batch(by_length[-self._batch_size :])

    def sample(self, count: int) -> Iterator[Batch]:
        """Batches of the first `count` rows."""
        prepared, by_length = self._first(count)
        for start in range(0, len(by_length), self._batch_size):
            yield prepared.batch(by_length[start : start + self._batch_size])

    def _first(self, count: int) -> tuple[Prepared, Integers]:
        """The first rows, prepared, and their order by length."""
        columns = next(in_blocks(self._read(0), count))
        prepared = self._prepare(columns, np.arange(len(columns[0])), None)
        return prepared, in_order(prepared.lengths, 0.0)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        blocks = chain.from_iterable(self._blocks(start // self._block))
        for place, batch in enumerate(self._made(islice(blocks, start % self._block, None)), start):
            self._position = place + 1
            yield batch

    def _made(self, batches: Iterator[Callable[[], Batch]]) -> Iterator[Batch]:
        """One batch after the other."""
        return (batch() for batch in batches)

    def _blocks(self, first: int) -> Iterator[list[Callable[[], Batch]]]:
        """The batches of one block after another; a thread prepares the next while this one is worked on."""
        rows = self._block * self._step
        chunks = in_blocks(self._read(first * rows), rows)
        numbers = iter(range(first, ceil(self._count / self._block)))
        with ThreadPoolExecutor(1) as thread:
            waiting = [thread.submit(self._block_of, chunks, number) for number in islice(numbers, 1)]
            while waiting:
                made = waiting.pop().result()
                waiting = [thread.submit(self._block_of, chunks, number) for number in islice(numbers, 1)]
                yield made

    def _block_of(self, chunks: Iterator[Columns], number: int) -> list[Callable[[], Batch]]:
        columns: Columns = next(chunks, [[]])
        first, found = number * self._block * self._step, len(columns[0])
        steps = min(self._block, self._count - number * self._block)
        if found < steps * self._step:
            raise UserError(
                f"{self._place}: ends after {first + found:,} rows, fewer than data.stream_rows or a count before "
                "said; set data.stream_rows to what there is"
            )
        random = np.random.default_rng((self._seed, self._epoch, number))
        chosen = random.permutation(found)[: steps * self._step]
        order = random.permutation(steps)  # of the batches, the same on all processes
        mine = chosen[self._rank :: self._world]
        rows = [[column[row] for row in mine] for column in columns]
        prepared = self._prepare(rows, first + mine, (self._seed, self._epoch))
        by_length = in_order(prepared.lengths, SLACK, random).reshape(steps, self._batch_size)
        return [lambda step=step: prepared.batch(by_length[step]) for step in order]  # type: ignore[misc]


def in_blocks(chunks: Iterable[Columns], size: int) -> Iterator[Columns]:
    """The same rows in blocks of `size`; the last may be smaller."""
    held: Columns = []
    for chunk in chunks:
        held = [[*before, *more] for before, more in zip(held, chunk, strict=True)] if held else list(chunk)
        while len(held[0]) >= size:
            yield [column[:size] for column in held]
            held = [column[size:] for column in held]
    if held and held[0]:
        yield held
