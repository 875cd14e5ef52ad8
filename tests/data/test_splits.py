import numpy as np
import pytest

from attnpred.data.splits import rows_of, source_split
from attnpred.errors import UserError
from tests.data.made import text_config

LABELS = np.repeat([0, 1, 2], [700, 250, 50])


def config(tmp_path, **changes):
    return text_config("builtin:digits", tmp_path, **{"test_split": None, "test_fraction": 0.2, **changes})


def parts(options, labels=LABELS):
    return [rows_of(options, split, labels) for split in ("train", "val", "test")]


def test_carved_parts_share_train_out_by_label(tmp_path):
    train, val, test = parts(config(tmp_path))
    assert sorted([*train, *val, *test]) == list(range(1000))
    assert (len(val), len(test)) == (100, 200)
    for part, share in ((val, 0.1), (test, 0.2), (train, 0.7)):
        counts = np.bincount(LABELS[part], minlength=3)
        assert np.abs(counts - share * np.bincount(LABELS)).max() <= 1.5


def test_carving_depends_on_split_seed_alone(tmp_path):
    first = parts(config(tmp_path))
    for part, again in zip(first, parts(config(tmp_path, batch_size=3)), strict=True):
        assert (part == again).all()
    assert (first[1] != parts(config(tmp_path, split_seed=1))[1]).any()


def test_test_part_does_not_depend_on_validation(tmp_path):
    assert (parts(config(tmp_path))[2] == parts(config(tmp_path, val_fraction=0.3))[2]).all()


def test_named_splits_are_whole(tmp_path):
    options = config(tmp_path, val_split="dev", test_split="test")
    assert all((part == np.arange(1000)).all() for part in parts(options))
    assert source_split(options, "val") == ("dev", "data.val_split")
    assert source_split(config(tmp_path), "val") == ("train", "data.train_split")


def test_too_few_rows_to_carve(tmp_path):
    with pytest.raises(UserError, match=r"data\.test_fraction=0\.2: carves 0 of the 2 rows .* name data\.test_split"):
        parts(config(tmp_path), LABELS[:2])
