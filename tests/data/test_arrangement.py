"""Columns that bind rows together or put them in order: read, kept, and refused where they cannot."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from attnpred.data.arrangement import collected
from attnpred.errors import BadRow, UserError
from tests.data.made import text_config, text_data, text_rows


def gathered(tmp_path, values, **changes):
    config = text_config("builtin:digits", tmp_path, **changes)
    return collected(config, iter([[values[:2]], [values[2:]]]), "data.train_split=train")


def test_groups_are_numbered_as_they_come(tmp_path):
    assert gathered(tmp_path, ["b", "a", "b", 3], group_column="p").tolist() == [0, 1, 0, 2]


def test_times_of_every_form_are_seconds(tmp_path):
    noon = datetime(2024, 5, 31, 12, tzinfo=UTC)
    values = ["2024-05-31T12:00:00", "2024-05-31 14:00+02:00", datetime(2024, 5, 31, 12), date(2024, 5, 31), 7, 2.5]
    seconds = noon.timestamp()
    expected = [seconds, seconds, seconds, seconds - 43200, 7, 2.5]
    assert gathered(tmp_path, values, time_column="t").tolist() == expected


@pytest.mark.parametrize(
    ("column", "values"), [("group_column", ["a", "b", None, "c"]), ("time_column", [1, 2, "", 3])]
)
def test_a_row_without_is_named_or_left_out(column, values, tmp_path):
    with pytest.raises(BadRow, match=r"row 2 of data\.train_split=train has none; mend it, or set data\.on_bad_row"):
        gathered(tmp_path, values, **{column: "c"})
    found = gathered(tmp_path, values, **{column: "c", "on_bad_row": "skip"})
    assert (found[2] < 0) if column == "group_column" else np.isnan(found[2])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("time_column", "soon", "holds 'soon', which is no number and no date"),
        ("time_column", True, "holds truth values"),
        ("group_column", [1], "holds list values"),
    ],
)
def test_what_is_no_time_and_no_group_is_refused(column, value, said, tmp_path):
    with pytest.raises(UserError, match=said):
        gathered(tmp_path, [value, value, value], **{column: "c"})


def test_data_are_carved_by_the_column(tmp_path):
    texts, labels = text_rows(90)
    lines = "".join(f"{t},{n},p{i % 30}\n" for i, (t, n) in enumerate(zip(texts, labels, strict=True)))
    (tmp_path / "a.csv").write_text("text,label,patient\n" + lines)
    changes = {"test_split": None, "group_column": "patient"}
    data = text_data(text_config(tmp_path / "a.csv", tmp_path / "cache", **changes))
    found = {split: {i % 30 for b in data.loader(split) for i in b.ids.tolist()} for split in ("train", "val", "test")}
    assert sum(map(len, found.values())) == 30
    again = text_data(text_config(tmp_path / "a.csv", tmp_path / "cache", **changes))
    assert {i % 30 for b in again.loader("val") for i in b.ids.tolist()} == found["val"]


def split_rows(folder, column, values):
    """A CSV a split, of as many rows as each has values."""
    folder.mkdir(parents=True)
    for split, own in values.items():
        texts, labels = text_rows(len(own))
        rows = zip(texts, labels, own, strict=True)
        (folder / f"{split}.csv").write_text(f"text,label,{column}\n" + "".join(f"{t},{n},{v}\n" for t, n, v in rows))
    return folder


GROUPS = {"train": [f"p{i % 8}" for i in range(40)], "validation": ["p8", "p9"] * 5, "test": ["q1", "q2"] * 5}
DAYS = {"train": range(1, 41), "validation": range(41, 51), "test": range(51, 61)}
OWN = {"val_split": "validation", "test_split": "test"}


def test_splits_of_the_sources_own_that_keep_groups_apart_are_trained_on(tmp_path):
    source = split_rows(tmp_path / "s", "patient", GROUPS)
    text_data(text_config(source, tmp_path / "cache", group_column="patient", **OWN)).check()


@pytest.mark.parametrize("options", [{}, {"stream": True}], ids=str)
def test_a_group_on_both_sides_of_the_sources_own_splits_is_refused(options, tmp_path):
    source = split_rows(tmp_path / "s", "patient", {**GROUPS, "test": ["q1", "p3", "q2", "p9", "p3"] * 2})
    said = r"group_column=patient: 1 group of test is in train too \(row 1 of test and row 3 of train are of one\)"
    with pytest.raises(UserError, match=said):
        text_data(text_config(source, tmp_path / "cache", group_column="patient", **OWN, **options)).check()


def test_the_rest_of_train_is_held_against_a_test_split_of_the_sources_own(tmp_path):
    """A group of which validation is carved is on one side with train's file, but not in the part."""
    source = split_rows(tmp_path / "s", "patient", {**GROUPS, "test": ["p3", "q2"] * 5})
    carved = {"group_column": "patient", "val_split": None, "val_fraction": 0.3, "test_split": "test"}
    with pytest.raises(UserError, match=r"1 group of test is in (train|val) too"):
        text_data(text_config(source, tmp_path / "cache", **carved)).check()


def test_times_of_the_sources_own_splits_follow_one_another(tmp_path):
    good = split_rows(tmp_path / "good", "day", DAYS)
    text_data(text_config(good, tmp_path / "cache", time_column="day", **OWN)).check()
    bad = split_rows(tmp_path / "bad", "day", {**DAYS, "validation": [*range(41, 50), 40]})
    said = r"time_column=day: train does not lie before val \(row 39 of train is not before row 9 of validation\)"
    with pytest.raises(UserError, match=said):
        text_data(text_config(bad, tmp_path / "cache", time_column="day", **OWN)).check()


def test_a_look_says_that_training_would_refuse_a_group_on_both_sides(tmp_path, capsys):
    from attnpred.cli import main

    source = split_rows(tmp_path / "s", "patient", {**GROUPS, "test": ["p3", "q2"] * 5})
    assert main(["data", str(source), "data.group_column=patient"]) == 0
    assert "1 group of test is in train too" in capsys.readouterr().out
