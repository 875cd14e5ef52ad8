"""Which examples come together, in which order, and on which of several processes."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Batch
from attnpred.errors import UserError

T = TypeVar("T")
Integers = NDArray[np.integer[Any]]
MULTIPLE = 8  # lengths that batches are padded to: products of odd sizes take several times as long on a CPU
CACHED = 4096  # tokens whose features a CPU's cache holds: more at once take longer each
CHUNK = 2**16  # examples worked on at once
LARGEST_WINDOW = 16  # of what is sorted together, in sizes of the first
SLACK = 1 / 16  # how much longer an example may count at random than it is: some padding buys the freedom to mix


class Positioned:
    """Where a loader is: its epoch, and how many of the epoch's batches are behind."""

    _epoch = _start = _position = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch, self._start = epoch, 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next pass goes on behind the batch that was the last."""
        self._epoch = state["epoch"]
        self._start = self._position = state["position"]


class BatchLoader(Positioned):
    """Batches of one split for one process.

    Examples of like length come together. Training order depends on (seed, epoch) alone; the number of batches never
    changes. Several processes share every batch out, so that each step has the examples that it would have on one
    process with as many times the batch size. Evaluation goes by length and gives every example once over them all.
    """

    def __init__(
        self,
        make: Callable[[Integers], Batch],
        lengths: Integers,
        *,
        batch_size: int,
        train: bool,
        token_budget: int | None = None,
        drop_last: bool = False,
        weights: NDArray[Any] | None = None,
        sampled: Callable[[Integers], Batch] | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """`make` turns positions into a batch; where a sample is asked for, `sampled` does if there is such.

        `lengths` holds each example's length, equal where it says nothing.

        `token_budget`, where given, takes the place of `batch_size`. `drop_last` drops an incomplete batch that is not
        the only one. With `weights` every epoch draws as many examples anew, each as often as its weight says.
        """
        if len(lengths) < world:
            raise UserError(
                f"trainer.devices={world}: more processes than a split's {len(lengths)} examples; use fewer devices"
            )
        self._make, self._sampled, self._train = make, sampled or make, train
        self._seed = seed
        self._rank, self._world = rank, world
        self._lengths = lengths
        self._chances = None if weights is None else weights / weights.sum()
        self._batch_size, self._token_budget = batch_size, token_budget
        sharers = world if train else 1  # of a batch
        if token_budget is None:
            bounds = cut_by_size(len(lengths), batch_size * sharers, drop_last)
        else:
            # what an example at this place can count at most, so that the cuts are the same in every epoch
            slack = SLACK if train else 0.0
            ceiling = np.minimum(np.sort(lengths) * (1 + slack), lengths.max()).astype(np.int64)
            bounds = cut_by_tokens(padded(ceiling), token_budget, sharers)
        if train and len(bounds) > 2 and bounds[-1] - bounds[-2] < world:
            bounds = bounds[:-1]  # too few for all; they come in another epoch
        self._bounds = bounds if train else even(bounds, world)

    def __len__(self) -> int:
        return (len(self._bounds) - 1) // (1 if self._train else self._world)

    def __iter__(self) -> Iterator[Batch]:
        count = len(self._bounds) - 1
        if self._train:
            random = np.random.default_rng((self._seed, self._epoch))
            order = self._training_order(random)
            mine, share = random.permutation(count), slice(self._rank, None, self._world)
        else:
            order, mine, share = in_order(self._lengths, 0.0), np.arange(self._rank, count, self._world), slice(None)
        start, self._start = self._start, 0
        chosen = (order[self._bounds[batch] : self._bounds[batch + 1]][share] for batch in mine[start:])
        for place, made in enumerate(self._made(chosen), start):
            self._position = place + 1
            yield made

    def _made(self, chosen: Iterable[Integers]) -> Iterator[Batch]:
        """Batches of the examples at these positions, one after the other."""
        return map(self._make, chosen)

    def _training_order(self, random: np.random.Generator) -> Integers:
        if self._chances is None:
            return in_order(self._lengths, SLACK, random)
        drawn = random.choice(len(self._lengths), len(self._lengths), p=self._chances)
        return drawn[in_order(self._lengths[drawn], SLACK, random)]

    @property
    def examples(self) -> int:
        """How many the split has."""
        return len(self._lengths)

    def at(self, positions: Integers) -> Batch:
        """The examples at these positions of the split, whatever the order in which they come."""
        return self._make(positions)

    def largest(self) -> Batch:
        """The batch that takes the most memory: of many examples, and above all of long ones."""
        order = in_order(self._lengths, 0.0)
        ends, counts = self._bounds[1:], np.diff(self._bounds)
        longest = self._lengths[order[ends - 1]].astype(np.float64)
        place = int(np.argmax(counts * longest**2))
        chosen = order[self._bounds[place] : self._bounds[place + 1]]
        return self._make(chosen[:: self._world] if self._train else chosen)

    def sample(self, count: int) -> Iterator[Batch]:
        """Batches of up to `count` examples of the whole split, the same ones whenever and wherever it is asked."""
        chosen = np.random.default_rng(0).permutation(len(self._lengths))[:count]
        if not len(chosen):
            return
        chosen = chosen[in_order(self._lengths[chosen], 0.0)]
        lengths = self._lengths[chosen]
        budget = self._token_budget
        bounds = cut_by_size(len(chosen), self._batch_size, False) if budget is None else cut_by_tokens(lengths, budget)
        for begin, end in pairwise(bounds):
            yield self._sampled(chosen[begin:end])


class FewBatches:
    """The first batches of a loader, the same ones in every epoch."""

    def __init__(self, loader: BatchLoader, count: int) -> None:
        loader.set_epoch(0)
        self._batches = list(islice(loader, count))
        self._start = self._position = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        for place, batch in enumerate(self._batches[start:], start):
            self._position = place + 1
            yield batch

    def largest(self) -> Batch:
        """The batch that takes the most memory."""
        return max(self._batches, key=_numbers)

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is alike."""
        self._start = 0

    def state_dict(self) -> dict[str, int]:
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._start = self._position = state["position"]


def _numbers(batch: Batch) -> int:
    """How many numbers its inputs hold."""
    held = [value for one in batch.inputs.values() for value in vars(one).values()]
    return sum(value.numel() for value in held if isinstance(value, torch.Tensor))


def in_order(lengths: Integers, slack: float, random: np.random.Generator | None = None) -> NDArray[np.uint32]:
    """Positions by length; with `random` each counts as longer than it is by up to `slack`, at random.

    Length and position are sorted as one number, in place, which takes a third of the memory of sorting positions.
    """
    keys = np.empty(len(lengths), np.uint64)
    scale = (2**32 - 1) / (int(lengths.max()) * (1 + slack))
    for start in range(0, len(lengths), CHUNK):
        some = lengths[start : start + CHUNK].astype(np.float64)
        if random is not None:
            some *= 1 + slack * random.random(len(some))
        position = np.arange(start, start + len(some), dtype=np.uint64)
        keys[start : start + CHUNK] = ((some * scale).astype(np.uint64) << np.uint64(32)) | position
    keys.sort()
    return keys.astype(np.uint32)


def padded(lengths: Integers) -> Integers:
    """Lengths of batches in which these are the longest."""
    return lengths + -lengths % MULTIPLE


def tokens_at_once(size: int, longest: int) -> int:
    """The budget of evaluation's batches: what `size` texts of the longest would hold, or less where that is faster."""
    return size * longest if torch.cuda.is_available() else min(size * longest, CACHED)


def cut_by_size(count: int, batch_size: int, drop_last: bool) -> Integers:
    """Where batches begin and end among `count` examples in a row."""
    bounds = np.arange(0, count + batch_size, batch_size).clip(max=count)
    return bounds[:-1] if drop_last and len(bounds) > 2 and count % batch_size else bounds


def cut_by_tokens(lengths: Integers, budget: int, sharers: int = 1) -> Integers:
    """Bounds such that longest × count stays within `budget` in each sharer's part of a batch; `lengths` are sorted."""
    bounds = [0]
    while (start := bounds[-1]) < len(lengths):
        # longest × count grows with the end, so that the end can be halved towards
        most = sharers * max(1, budget // max(1, int(lengths[start])))
        low, high = min(len(lengths), start + sharers), min(len(lengths), start + most)
        while low < high:
            middle = (low + high + 1) // 2
            if lengths[middle - 1] * math.ceil((middle - start) / sharers) <= budget:
                low = middle
            else:
                high = middle - 1
        bounds.append(low)
    return np.array(bounds)


def even(bounds: Integers, world: int) -> Integers:
    """Splits the largest batches until every process gets as many; merges the last where none can be split."""
    cuts = [int(b) for b in bounds]
    batches = math.ceil((len(cuts) - 1) / world) * world
    while len(cuts) - 1 < batches <= cuts[-1]:
        largest = int(np.argmax(np.diff(cuts)))
        cuts.insert(largest + 1, (cuts[largest] + cuts[largest + 1] + 1) // 2)
    while (len(cuts) - 1) % world:
        del cuts[-2]
    return np.array(cuts)


def windows(inputs: Iterable[T], size: int) -> Iterator[list[T]]:
    """What is to be sorted by length together: `size` inputs, then twice as many each time."""
    stream, count = iter(inputs), size
    while window := list(islice(stream, count)):
        yield window
        count = min(2 * count, LARGEST_WINDOW * size)
