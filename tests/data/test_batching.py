"""Order, cuts and sharing out, without any data."""

from itertools import chain, islice, pairwise

import numpy as np
import pytest
import torch

from attnpred.contracts import Batch
from attnpred.data.batching import SLACK, BatchLoader, cut_by_tokens, even, in_order, padded
from attnpred.errors import UserError

LENGTHS = np.random.default_rng(0).integers(1, 60, 101)


def loader(lengths=LENGTHS, **changes):
    options = {"batch_size": 8, "train": True, **changes}
    return BatchLoader(lambda rows: Batch(inputs={}, targets={}, ids=torch.from_numpy(rows)), lengths, **options)


def flat(lists):
    return list(chain.from_iterable(lists))


def rows(batches):
    return [batch.ids.tolist() for batch in batches]


def test_order_depends_on_seed_and_epoch_only():
    first = loader(seed=1)
    assert rows(first) == rows(first) == rows(loader(seed=1))
    assert rows(first) != rows(loader(seed=2))
    first.set_epoch(1)
    other = loader(seed=1)
    assert rows(first) != rows(other)
    other.set_epoch(1)
    assert rows(first) == rows(other)


def test_training_gives_every_example_once_and_batches_like_lengths():
    batches = rows(loader())
    assert sorted(flat(batches)) == list(range(101))
    spans = [np.ptp(LENGTHS[batch]) for batch in batches]
    assert np.median(spans) < 12
    firsts = [LENGTHS[batch].max() for batch in batches]
    assert firsts != sorted(firsts), "batches come in a mixed order"


@pytest.mark.parametrize("budget", [60, 200, 1000])
def test_token_budget_bounds_padded_tokens_and_keeps_the_count(budget):
    made = loader(token_budget=budget)
    for epoch in range(3):
        made.set_epoch(epoch)
        batches = rows(made)
        assert len(batches) == len(made)
        assert sorted(flat(batches)) == list(range(101))
        assert all(padded(LENGTHS[batch]).max() * len(batch) <= budget for batch in batches if len(batch) > 1)


def test_token_budget_fills_batches():
    lengths = np.sort(LENGTHS)
    bounds = cut_by_tokens(lengths, 200)
    for start, end in pairwise(bounds[:-1]):
        assert lengths[end] * (end + 1 - start) > 200, "one more would have been too many"


def test_drop_last_keeps_an_only_batch():
    assert len(loader(drop_last=True)) == 12
    assert all(len(b) == 8 for b in rows(loader(drop_last=True)))
    assert [len(b) for b in rows(loader(LENGTHS[:5], drop_last=True))] == [5]


def test_evaluation_goes_by_length_whatever_the_seed():
    batches = rows(loader(train=False, seed=1))
    assert batches == rows(loader(train=False, seed=2))
    assert (np.diff(LENGTHS[flat(batches)]) >= 0).all()


@pytest.mark.parametrize(
    ("count", "size", "world"), [(101, 8, 2), (101, 8, 3), (5, 1, 2), (4, 8, 4), (7, 3, 5), (9, 1, 4)]
)
def test_evaluation_shares_every_example_out_once_in_equal_counts(count, size, world):
    ranks = [loader(LENGTHS[:count], batch_size=size, train=False, rank=r, world=world) for r in range(world)]
    shared = [rows(rank) for rank in ranks]
    assert len({len(batches) for batches in shared}) == 1
    assert [len(rank) for rank in ranks] == [len(batches) for batches in shared]
    assert sorted(flat(flat(shared))) == list(range(count))
    assert all(batch for batches in shared for batch in batches)


@pytest.mark.parametrize("world", [2, 3])
def test_training_shares_out_the_batches_of_one_process_with_as_many_times_the_size(world):
    whole = rows(loader(batch_size=8 * world, seed=3))
    shared = [rows(loader(batch_size=8, seed=3, rank=r, world=world)) for r in range(world)]
    together = [sorted(flat(parts)) for parts in zip(*shared, strict=True)]
    assert together == [sorted(batch) for batch in whole]
    assert all(max(sizes) - min(sizes) <= 1 for sizes in zip(*([len(b) for b in s] for s in shared), strict=True))


@pytest.mark.parametrize("budget", [60, 300])
def test_a_token_budget_bounds_each_processs_part(budget):
    shared = [rows(loader(token_budget=budget, rank=r, world=3)) for r in range(3)]
    assert len({len(parts) for parts in shared}) == 1
    parts = flat(shared)
    assert all(padded(LENGTHS[part]).max() * len(part) <= budget for part in parts if len(part) > 1)
    assert all(parts)
    assert len(set(flat(parts))) == len(flat(parts)) >= len(LENGTHS) - 2


def test_examples_too_few_for_all_processes_come_in_another_epoch():
    shared = [rows(loader(LENGTHS[:26], batch_size=8, rank=r, world=3)) for r in range(3)]
    assert [[len(part) for part in parts] for parts in shared] == [[8]] * 3


def test_training_with_fewer_examples_than_a_batch_shares_them_out():
    shared = [rows(loader(LENGTHS[:10], rank=r, world=4)) for r in range(4)]
    assert sorted(flat(flat(shared))) == list(range(10))
    assert [len(batches) for batches in shared] == [1] * 4


def test_even_splits_the_largest():
    assert even(np.array([0, 8, 10]), 3).tolist() == [0, 4, 8, 10]


def test_fewer_examples_than_processes_is_refused():
    with pytest.raises(UserError, match=r"trainer\.devices=4: more processes than a split's 3 examples"):
        loader(LENGTHS[:3], train=False, world=4)


def test_positions_go_by_length_and_at_random_among_equals():
    lengths = np.random.default_rng(0).integers(1, 9, 100_000).astype(np.uint32)
    order = in_order(lengths, 0.0)
    assert (order == np.argsort(lengths, kind="stable")).all()
    mixed = in_order(lengths, SLACK, np.random.default_rng(1))
    assert (np.sort(mixed) == np.arange(len(lengths))).all()
    counted = lengths[mixed].astype(float)
    assert (counted[1:] * (1 + SLACK) >= counted[:-1]).all()
    ones = in_order(np.ones(1000, np.uint8), SLACK, np.random.default_rng(1))
    assert abs(np.corrcoef(ones, np.arange(1000))[0, 1]) < 0.1


def test_a_sample_is_the_same_wherever_it_is_drawn():
    lengths = np.random.default_rng(0).integers(1, 40, 200)

    def drawn(count, **options):
        loader = BatchLoader(lambda rows: rows, lengths, batch_size=8, train=False, **options)
        return list(loader.sample(count))

    sample = drawn(50)
    rows = np.concatenate(sample)
    assert len(set(rows.tolist())) == 50
    assert max(map(len, sample)) == 8
    assert (np.diff(lengths[rows]) >= 0).all()
    assert {*rows.tolist()} == {*np.concatenate(drawn(50, rank=1, world=2, seed=5)).tolist()}
    for batch in drawn(50, token_budget=80):
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= 80
    assert len(np.concatenate(drawn(500))) == 200


RARE = np.arange(101) % 10 == 0  # eleven examples of one class, ninety of another
WEIGHTS = np.where(RARE, 1 / RARE.sum(), 1 / (~RARE).sum())


def test_balanced_classes_come_about_equally_often():
    made, drawn = loader(weights=WEIGHTS), []
    for epoch in range(40):
        made.set_epoch(epoch)
        batches = rows(made)
        assert len(batches) == len(made) == len(loader())
        assert len(flat(batches)) == 101
        drawn += flat(batches)
    assert RARE[drawn].mean() == pytest.approx(0.5, abs=0.03)
    counts = np.bincount(drawn, minlength=101)
    assert counts.min() > 0
    assert counts[RARE].min() > counts[~RARE].max()


def test_a_balanced_epochs_order_depends_on_seed_and_epoch_only():
    first = loader(weights=WEIGHTS, seed=1)
    assert rows(first) == rows(first) == rows(loader(weights=7 * WEIGHTS, seed=1))
    assert rows(first) != rows(loader(weights=WEIGHTS, seed=2))
    before = rows(first)
    first.set_epoch(1)
    assert sorted(flat(rows(first))) != sorted(flat(before)), "other examples are drawn"
    first.set_epoch(0)
    assert rows(first) == before


def test_balanced_batches_hold_like_lengths():
    spans = [np.ptp(LENGTHS[batch]) for batch in rows(loader(weights=WEIGHTS))]
    assert np.median(spans) < 12


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["all", "balanced"])
@pytest.mark.parametrize("done", [0, 1, 5])
def test_an_epoch_goes_on_with_the_batches_that_were_left(weights, done):
    whole = loader(weights=weights, seed=3)
    whole.set_epoch(2)
    expected = rows(whole)
    stopped = loader(weights=weights, seed=3)
    stopped.set_epoch(2)
    assert rows(islice(stopped, done)) == expected[:done]
    resumed = loader(weights=weights, seed=3)
    resumed.load_state_dict(stopped.state_dict())
    assert rows(resumed) == expected[done:]
    resumed.set_epoch(3)
    whole.set_epoch(3)
    assert rows(resumed) == rows(whole), "the epoch after is whole"


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_a_balanced_batch_out(world):
    whole = rows(loader(batch_size=8 * world, seed=3, weights=WEIGHTS))
    shared = [rows(loader(batch_size=8, seed=3, rank=r, world=world, weights=WEIGHTS)) for r in range(world)]
    together = [sorted(flat(parts)) for parts in zip(*shared, strict=True)]
    assert together == [sorted(batch) for batch in whole]


def test_a_sample_of_nothing_is_none():
    loader = BatchLoader(lambda rows: rows, np.array([3, 1, 2]), batch_size=2, train=False)
    assert list(loader.sample(0)) == []
