"""Windows and parts: nothing of the future reaches a model, and what is scaled is scaled by the train part alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnpred.config import compose
from attnpred.data import columns
from attnpred.errors import UserError
from attnpred.training.fit import prepare
from tests.modalities.series.made import clock, waves, write_table, write_waves

BASE = ["model=linear", "data=series", "data.history=24", "task.horizon=6", "logger=none"]


def settled(file, tmp_path, *words):
    config = compose.compose([*BASE, f"data.source={file}", f"data.cache_dir={tmp_path / 'cache'}", *words])
    return replace(config, data=columns.settled(config.data, config.task.reads))


def data_of(file, tmp_path, *words):
    return prepare(settled(file, tmp_path, *words))[0]


def windows(data, split):
    """Of each part's windows the rows at which their forecasts begin, what is read, and what comes."""
    loader = data.loader(split)
    found = [(b.ids, b.input.values, b.targets["future"]) for b in loader]
    ids, read, future = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = ids.argsort()
    return ids[order].numpy(), read[order].numpy(), future[order].numpy()


def test_windows_are_those_of_the_table_scaled_by_train_alone(tmp_path):
    data = data_of(write_waves(tmp_path / "waves.csv"), tmp_path)
    values = waves()
    even = ((values - values[:320].mean(0)) / values[:320].std(0)).astype(np.float32)
    for split, first, last in (("train", 24, 314), ("val", 320, 354), ("test", 360, 394)):
        ids, read, future = windows(data, split)
        assert ids.tolist() == list(range(first, last + 1))
        for row in (0, len(ids) // 2, len(ids) - 1):
            at = ids[row]
            np.testing.assert_allclose(read[row], even[at - 24 : at].T, atol=1e-5)
            np.testing.assert_allclose(future[row], even[at : at + 6].T, atol=1e-5)


def test_nothing_of_the_future_reaches_a_model(tmp_path):
    """Whatever comes after a part changes neither its windows nor their scale, and no answer."""
    file = write_waves(tmp_path / "waves.csv")
    changed = waves()
    changed[360:] += 100  # the test part
    other = write_table(
        tmp_path / "other.csv", {"date": clock(400), "up": changed[:, 0].tolist(), "late": changed[:, 1].tolist()}
    )
    one, two = (data_of(f, tmp_path) for f in (file, other))
    assert one.reader.spec == two.reader.spec
    assert one.target_spec == two.target_spec
    for split in ("train", "val"):
        for mine, theirs in zip(windows(one, split), windows(two, split), strict=True):
            assert np.array_equal(mine, theirs)
    # and within a window, no answer changes with what it is to forecast
    config = settled(file, tmp_path)
    data, learner = prepare(config)
    batch = next(iter(data.loader("val")))
    answer = learner.model(batch).answer
    hidden = replace(batch, targets={"future": torch.full_like(batch.targets["future"], 1e6)})
    assert torch.equal(learner.model(hidden).answer, answer)


@pytest.mark.parametrize("gap", [0, 3, "horizon"])
def test_a_gap_lies_between_the_parts(gap, tmp_path):
    data = data_of(write_waves(tmp_path / "waves.csv"), tmp_path, f"data.gap={gap}")
    moments = 6 if gap == "horizon" else gap
    assert windows(data, "train")[0][-1] == 314
    assert windows(data, "val")[0][0] == 320 + moments
    assert windows(data, "test")[0][0] == 360 + moments


def test_folds_go_forward_in_time(tmp_path):
    file = write_waves(tmp_path / "waves.csv")
    ends = []
    for fold in range(3):
        data = data_of(file, tmp_path, "data.folds=3", f"data.fold={fold}")
        train, val, test = (windows(data, split)[0] for split in ("train", "val", "test"))
        assert train[-1] + 6 <= val[0]
        assert val[-1] + 6 <= 360 <= test[0]
        ends.append((train[-1], val[0], val[-1]))
    assert ends == [(84, 90, 174), (174, 180, 264), (264, 270, 354)]


def test_the_parts_can_be_counted_and_windows_thinned_out(tmp_path):
    file = write_waves(tmp_path / "waves.csv")
    data = data_of(file, tmp_path, "data.split_rows=[200,60,40]", "data.stride=10")
    assert windows(data, "train")[0].tolist() == list(range(24, 195, 10))
    assert windows(data, "val")[0].tolist() == list(range(200, 255))
    assert windows(data, "test")[0].tolist() == list(range(260, 295))


def test_several_series_are_never_read_across_their_borders(tmp_path):
    values = waves(200)
    rows = {"place": [], "date": [], "up": []}
    for i in range(200):  # the two stand by turns
        for name, value in (("a", values[i, 0]), ("b", 1000 + values[i, 0])):
            rows["place"].append(name)
            rows["date"].append(clock(200)[i])
            rows["up"].append(value)
    file = write_table(tmp_path / "two.csv", rows)
    data = data_of(file, tmp_path, "data.series_column=place", "data.columns=[up]")
    for split in ("train", "val", "test"):
        ids, read, future = windows(data, split)
        high = read[:, 0] > 0  # the levels lie on two sides of the mean
        assert (high.all(1) | ~high.any(1)).all()
        assert ((future[:, 0] > 0).all(1) == high.all(1)).all()
        assert ((ids % 2 == 1) == high.all(1)).all(), "ids are rows of the table"


def test_batches_are_views_gathered_once(tmp_path):
    data = data_of(write_waves(tmp_path / "waves.csv"), tmp_path)
    data.loader("train")
    (held,) = data._windows.values()
    assert held.values.shape == (2, 400)
    batch = next(iter(data.loader("train", seed=3)))
    storage = batch.input.values.untyped_storage()
    assert batch.targets["future"].untyped_storage().data_ptr() == held.values.untyped_storage().data_ptr() or (
        storage.nbytes() == len(batch) * 2 * 30 * 4
    )


def test_gaps_are_filled_where_asked(tmp_path):
    values, times = waves(), clock(400)
    kept = [i for i in range(400) if i not in (50, 51, 200)]
    rows = {"date": [times[i] for i in kept], "up": values[kept, 0].tolist(), "late": values[kept, 1].tolist()}
    file = write_table(tmp_path / "gaps.csv", rows)
    with pytest.raises(UserError, match=r"2 moments of 3600s missing between 2024-01-03 01:00 and .* data.gaps=fill"):
        data_of(file, tmp_path)
    data = data_of(file, tmp_path, "data.gaps=fill")
    store = data._store("train")
    assert len(store.values) == 400
    assert np.flatnonzero(np.isnan(store.values[:, 0])).tolist() == [50, 51, 200]
    batches = list(data.loader("train"))
    assert all("there" in batch.targets for batch in batches)
    lacking = sum(int((~batch.targets["there"]).sum()) for batch in batches)
    assert lacking == 2 * 3 * 6


BAD = {
    "times go back": ({"date": lambda t, v: [*t[:7], t[3], *t[8:]]}, "date goes back"),
    "times repeat": ({"date": lambda t, v: [*t[:7], t[6], *t[8:]]}, "date repeats"),
    "no time": ({"date": lambda t, v: [*t[:7], None, *t[8:]]}, "has no time"),
    "constant": ({"up": lambda t, v: [2.0] * 400}, "up is 2 in every moment of the train part"),
    "infinite": ({"up": lambda t, v: [*v[:9], "inf", *v[10:]]}, "row 9 has an infinite value in up"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_told_in_one_line(case, tmp_path):
    changes, said = BAD[case]
    values = waves()[:, 0].tolist()
    file = write_waves(tmp_path / "bad.csv", **{n: make(clock(400), values) for n, make in changes.items()})
    with pytest.raises(UserError, match=said) as told:
        data_of(file, tmp_path, "data.columns=[up,late]", "data.time_column=date").loader("train")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["data.history=500"],
            "data.history=500: a window needs 506 moments with task.horizon=6, and the train part has 320",
        ),
        (["task.horizon=50"], "task.horizon=50: is longer than the validation part, which has 40 moments"),
        (["data.split_rows=[300,60,60]"], "names 420 moments, the series has 400"),
        (["data.targets.future=[other]"], "other is not among the columns that are read"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(words, said, tmp_path):
    file = write_waves(tmp_path / "waves.csv")
    with pytest.raises(UserError) as told:
        [data_of(file, tmp_path, *words).loader(split) for split in ("train", "val", "test")]
    assert said in str(told.value)
