import numpy as np
import pytest

from attnpred.data.splits import Arrangement, carving, deal, measured, rows_of, source_split
from attnpred.errors import UserError
from tests.data.made import text_config, text_data

LABELS = np.repeat([0, 1, 2], [700, 250, 50])


def config(tmp_path, **changes):
    return text_config("builtin:digits", tmp_path, **{"test_split": None, "test_fraction": 0.2, **changes})


def parts(options, labels=LABELS, bound=None):
    bound = bound or Arrangement()
    return [rows_of(options, split, labels, bound) for split in ("train", "val", "test")]


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


def test_a_limit_measures_some_of_the_test_part_of_each_class_its_share(tmp_path, capsys):
    rows = np.arange(5000, 6000, dtype=np.uint32)
    told: set[str] = set()
    few = measured(rows, LABELS, config(tmp_path, test_limit=100), "data.test_split=test", told)
    assert np.bincount(LABELS[few - 5000]).tolist() == [70, 25, 5]
    assert (few == measured(rows, LABELS, config(tmp_path, test_limit=100), "data.test_split=test", told)).all()
    assert capsys.readouterr().err.count("data.test_split=test: tests on 100 of 1,000 rows") == 1
    assert (few != measured(rows, LABELS, config(tmp_path, test_limit=100, split_seed=1), "", set())).any()
    for limit in (None, 1000, 5000):
        assert measured(rows, LABELS, config(tmp_path, test_limit=limit), "", set()) is rows


@pytest.mark.parametrize("carved", [None, "test"])
def test_a_limit_reaches_the_loader(carved, tmp_path, text_source, cache_dir):
    whole, few = (
        text_data(text_config(text_source, cache_dir, test_split=carved, test_limit=limit)) for limit in (None, 5)
    )
    ids = [[int(i) for batch in data.loader("test") for i in batch.ids] for data in (whole, few)]
    assert len(ids[1]) == 5
    assert set(ids[1]) < set(ids[0])
    assert len(few.loader("val")) == len(whole.loader("val"))


def test_too_few_rows_to_carve(tmp_path):
    with pytest.raises(UserError, match=r"data\.test_fraction=0\.2: carves 0 of the 2 rows .* name data\.test_split"):
        parts(config(tmp_path), LABELS[:2])


GROUPS = np.random.default_rng(1).integers(0, 90, 1000)
TIMES = np.random.default_rng(2).permutation(1000) // 4


def test_auto_is_carved_where_nobody_settled_it(tmp_path):
    options = config(tmp_path, val_split="auto", test_split="auto")
    for part, again in zip(parts(options), parts(config(tmp_path)), strict=True):
        assert (part == again).all()


def test_no_group_is_on_both_sides_and_classes_keep_their_shares(tmp_path):
    found = parts(config(tmp_path, group_column="patient"), bound=Arrangement(groups=GROUPS))
    assert sorted(np.concatenate(found)) == list(range(1000))
    inside = [set(GROUPS[part]) for part in found]
    assert not (inside[0] & inside[1])
    assert not (inside[0] & inside[2])
    assert not (inside[1] & inside[2])
    for part, share in zip(found, (0.7, 0.1, 0.2), strict=True):
        assert len(part) == pytest.approx(share * 1000, abs=20)
        assert np.bincount(LABELS[part], minlength=3) == pytest.approx(share * np.bincount(LABELS), abs=25)


def test_a_group_too_large_for_a_part_goes_where_there_is_room():
    groups = np.repeat([0, 1, 2, 3], [70, 10, 10, 10])
    part = deal(groups, np.zeros(100, int), (0.2, 0.8), 0)
    assert set(part[groups == 0]) == {1}
    assert (part == 0).sum() == 20


def test_train_comes_before_validation_and_validation_before_test(tmp_path):
    train, val, test = parts(config(tmp_path, time_column="day"), bound=Arrangement(times=TIMES.astype(float)))
    assert TIMES[train].max() < TIMES[val].min()
    assert TIMES[val].max() < TIMES[test].min()
    assert [len(train), len(val), len(test)] == [700, 100, 200]


@pytest.mark.parametrize(
    ("bound", "changes", "said"),
    [
        ({"groups": np.zeros(1000, int)}, {"group_column": "p"}, "has 1 group, too few to share out"),
        ({"times": np.zeros(1000)}, {"time_column": "t"}, "stay together, which leaves none to train on"),
        ({"groups": np.repeat([0, 1, 2], [900, 50, 50])}, {"group_column": "p", "folds": 4, "fold": 1}, "fewer than"),
        ({"times": np.repeat([0.0, 1.0], 500)}, {"time_column": "t", "folds": 4, "fold": 2}, "use fewer"),
    ],
)
def test_what_cannot_be_shared_out_is_told(bound, changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        parts(config(tmp_path, **changes), bound=Arrangement(**bound))


def in_folds(tmp_path, count, bound=None, **changes):
    return [parts(config(tmp_path, folds=count, fold=i, **changes), bound=bound) for i in range(count)]


def test_every_row_but_those_of_test_is_validation_in_one_fold(tmp_path):
    found = in_folds(tmp_path, 5)
    assert sorted(np.concatenate([val for _, val, _ in found])) == sorted(set(range(1000)) - set(found[0][2]))
    for train, val, test in found:
        assert (test == found[0][2]).all()
        assert sorted([*train, *val, *test]) == list(range(1000))
        assert np.bincount(LABELS[val]) == pytest.approx(np.bincount(LABELS) * 0.16, abs=1.5)


def test_folds_keep_groups_whole(tmp_path):
    found = in_folds(tmp_path, 4, Arrangement(groups=GROUPS), group_column="patient")
    assert sorted(np.concatenate([val for _, val, _ in found])) == sorted(set(range(1000)) - set(found[0][2]))
    for train, val, test in found:
        assert not set(GROUPS[train]) & set(GROUPS[val])
        assert not set(GROUPS[test]) & set(GROUPS[[*train, *val]])


def test_folds_by_time_train_on_what_lies_before(tmp_path):
    found = in_folds(tmp_path, 4, Arrangement(times=TIMES.astype(float)), time_column="day")
    sizes = [len(train) for train, _, _ in found]
    assert sizes == sorted(sizes)
    for train, val, test in found:
        assert TIMES[train].max() < TIMES[val].min()
        assert TIMES[val].max() < TIMES[test].min()
    assert found[-1][1].tolist() == sorted(set(np.concatenate([*found[-1][:2]]).tolist()) - set(found[-1][0].tolist()))


def test_prepared_data_know_how_they_were_carved(tmp_path):
    keys = [
        carving(config(tmp_path, **changes))
        for changes in (
            {},
            {"group_column": "a"},
            {"time_column": "a"},
            {"folds": 3, "fold": 0},
            {"folds": 3, "fold": 1},
            {"folds": 4, "fold": 1},
        )
    ]
    assert len({str(key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"group_column": "a", "time_column": "b"}, "data.time_column=b: rows are carved by group or by time"),
        ({"folds": 3}, r"data\.folds=3: name one by data\.fold=0, .* -m 'data\.fold=range\(3\)'"),
        ({"fold": 0}, "data.fold=0: of how many folds"),
        ({"folds": 3, "fold": 3}, "data.fold=3: there are 3 folds; choose 0 to 2"),
        ({"folds": 3, "fold": 0, "val_split": "dev"}, "data.folds=3: a fold is validation"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said) as refused:
        config(tmp_path, **changes)
    assert "\n" not in str(refused.value)
