"""Few labels: as many of each class as is its share, the same ones for one seed."""

from types import SimpleNamespace

import numpy as np
import pytest

from attnpred.data.labelled import FewLabels, labelled
from attnpred.errors import UserError

STRATA = np.array([0] * 60 + [1] * 30 + [2] * 10)
ROWS = np.arange(1000, 1100, dtype=np.uint32)


def options(count, seed=0, bad="fail"):
    return SimpleNamespace(labelled=count, labelled_seed=seed, on_bad_row=bad)


@pytest.mark.parametrize("count", [10, 20, 50])
def test_every_class_has_its_share(count):
    kept = labelled(ROWS, STRATA, options(count))
    assert len(set(kept)) == count
    assert list(np.bincount(STRATA[kept - 1000])) == [0.6 * count, 0.3 * count, 0.1 * count]
    assert list(kept) == sorted(kept)


def test_a_seed_draws_the_same_and_another_others():
    first = labelled(ROWS, STRATA, options(20))
    assert list(first) == list(labelled(ROWS, STRATA, options(20)))
    assert set(first) != set(labelled(ROWS, STRATA, options(20, seed=1)))
    assert len(labelled(ROWS, None, options(7))) == 7
    assert labelled(ROWS, STRATA, options(None)) is ROWS
    with pytest.raises(UserError, match=r"data\.labelled=101: the train part has 100 rows"):
        labelled(ROWS, STRATA, options(101))


class Few(FewLabels):
    """Ten rows of which three have labels, and the row 9 none at all."""

    def __init__(self, bad):
        self.config = options(3, bad=bad)
        self.target = SimpleNamespace(usable=lambda stored: np.arange(10) != 9)

    def _all_rows_of(self, split):
        return SimpleNamespace(targets=None), np.arange(9, dtype=np.uint32), ""


def test_the_pool_is_what_has_no_labels():
    kept, values = np.array([1, 4, 7], np.uint32), np.array([0, 1, 0])
    assert list(Few("fail")._with_unlabelled(kept, values)[0]) == [1, 4, 7]
    pool, said = Few("fail").unlabelled()._with_unlabelled(kept, values)
    assert list(pool) == [0, 2, 3, 5, 6, 8]
    assert len(said) == 6
    assert list(Few("skip").unlabelled()._with_unlabelled(kept, values)[0]) == [0, 2, 3, 5, 6, 8, 9]
    with pytest.raises(UserError, match="none is left without"):
        Few("fail").unlabelled()._with_unlabelled(np.arange(9, dtype=np.uint32), np.zeros(9, np.int32))
    more = Few("fail")
    more.add(np.array([0, 9], np.uint32), np.array([1, 1]))
    rows, said = more._with_unlabelled(kept, values)
    assert list(rows) == [1, 4, 7, 0, 9]
    assert list(said) == [0, 1, 0, 1, 1]
