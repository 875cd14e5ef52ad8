"""Batches of images that are decoded when they are needed, by threads, while the model works on the ones before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

from attnpred.contracts import Batch
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.streaming import StreamLoader

Make = Callable[[Integers, int | None], Batch]
AHEAD = 3  # batches that are made before they are asked for


class DecodingLoader(BatchLoader):
    """A loader whose batches are made ahead; how far is no part of its state, so that a resumed run sees the same."""

    def __init__(self, make: Make, lengths: Integers, **options: Any) -> None:
        """`make` turns positions and the epoch into a batch; without an epoch nothing is drawn at random."""
        super().__init__(lambda positions: make(positions, None), lengths, **options)
        self._decode = make

    def _made(self, chosen: Iterable[Integers]) -> Iterator[Batch]:
        epoch = self._epoch if self._train else None
        return ahead(partial(self._decode, positions, epoch) for positions in chosen)


class DecodingStream(StreamLoader):
    """The same of rows that are trained on as they are read."""

    def _made(self, batches: Iterator[Callable[[], Batch]]) -> Iterator[Batch]:
        return ahead(batches)


def ahead(batches: Iterator[Callable[[], Batch]]) -> Iterator[Batch]:
    """What each of them makes, in order; a thread makes the next ones before they are asked for."""
    waiting: deque[Future[Batch]] = deque()
    thread = ThreadPoolExecutor(1)
    try:
        waiting.extend(thread.submit(make) for make in islice(batches, AHEAD))
        while waiting:
            first = waiting.popleft()
            waiting.extend(thread.submit(make) for make in islice(batches, 1))
            yield first.result()
    finally:
        thread.shutdown(cancel_futures=True)
