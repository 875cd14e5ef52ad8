"""Batches of a stream: every row once, shuffled, shared out, and the same ones after any interruption."""

from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
import pytest
import torch

from attnpred.contracts import Batch
from attnpred.data.batching import Integers
from attnpred.data.streaming import StreamLoader, in_blocks
from attnpred.errors import UserError


@dataclass
class Rows:
    texts: list[str]
    numbers: Integers

    @property
    def lengths(self):
        return np.array([len(text) for text in self.texts], np.uint32)

    def batch(self, positions):
        assert [int(self.texts[i].strip()) for i in positions] == self.numbers[positions].tolist()
        return Batch(inputs={}, targets={}, ids=torch.from_numpy(self.numbers[positions]))


class Source:
    """So many rows in chunks of seven, each of which tells its number; remembers where reading began."""

    def __init__(self, count):
        self.count, self.began = count, []

    def read(self, start):
        self.began.append(start)
        for first in range(start, self.count, 7):
            yield [[str(n) + " " * (n % 5) for n in range(first, min(first + 7, self.count))]]


def loader(source, rows=None, **options):
    options = {"batch_size": 4, "buffer": 40, "place": "here", **options}
    return StreamLoader(source.read, lambda columns, ids, draw: Rows(columns[0], ids), rows or source.count, **options)


def ids(batches):
    return [batch.ids.tolist() for batch in batches]


def test_every_row_comes_once_and_shuffled():
    found = ids(loader(Source(1000)))
    assert len(found) == 250
    assert sorted(chain(*found)) == list(range(1000))
    assert all(max(batch) // 40 == min(batch) // 40 for batch in found)  # shuffled within blocks
    assert sum(a < b for a, b in pairwise(chain(*found))) < 600


def test_epochs_and_seeds_differ_and_come_again():
    one = loader(Source(200), seed=5)
    first = ids(one)
    one.set_epoch(1)
    second = ids(one)
    one.set_epoch(0)
    assert first != second
    assert ids(one) == first == ids(loader(Source(200), seed=5)) != ids(loader(Source(200), seed=6))


@pytest.mark.parametrize("stopped", [0, 1, 9, 10, 11, 37, 49, 50])
def test_a_resumed_epoch_has_the_rest(stopped):
    whole = loader(Source(200), seed=1)
    whole.set_epoch(3)
    expected = ids(whole)
    interrupted = loader(Source(200), seed=1)
    interrupted.set_epoch(3)
    before = ids(islice(interrupted, stopped))
    source = Source(200)
    resumed = loader(source, seed=1)
    resumed.load_state_dict(interrupted.state_dict() if stopped else {"epoch": 3, "position": 0})
    assert before + ids(resumed) == expected
    assert source.began == [stopped // 10 * 40] * (stopped < 50)  # what is behind is not read again


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_row(world):
    shares = [ids(loader(Source(600), rank=rank, world=world, buffer=100)) for rank in range(world)]
    assert {len(share) for share in shares} == {600 // (4 * world)}
    assert sorted(chain(*chain(*shares))) == list(range(600))


def test_lengths_come_together():
    found = list(loader(Source(4000), buffer=400))
    spread = [len({int(row) % 5 for row in batch.ids}) for batch in found]
    assert np.mean(spread) < 2


def test_what_does_not_fill_a_batch_is_left_out():
    found = ids(loader(Source(43)))
    assert len(found) == 10
    assert len(set(chain(*found))) == 40


def test_fewer_rows_than_were_counted():
    with pytest.raises(UserError, match="here: ends after 50 rows"):
        list(loader(Source(50), rows=80))


def test_too_few_for_a_batch():
    with pytest.raises(UserError, match="here: has 3 rows, too few for one batch of 4"):
        loader(Source(3))


def test_a_pass_that_is_left_leaves_no_thread():
    import threading

    before = threading.active_count()
    passing = iter(loader(Source(1000)))
    next(passing)
    passing.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("size", [1, 6, 7, 8, 100])
def test_blocks(size):
    blocks = list(in_blocks(Source(30).read(0), size))
    assert [len(block[0]) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
    assert [int(text) for text in chain(*(block[0] for block in blocks))] == list(range(30))
