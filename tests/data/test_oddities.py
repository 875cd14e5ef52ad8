"""Warnings before training: rows in two parts, classes of one row, parts without a class."""

import pytest

from attnpred.data import oddities
from tests.data.made import image_config, image_data, image_rows, make_image_source, text_config, text_data


def told(data, capsys):
    parts = list(data.parts())
    capsys.readouterr()
    oddities.tell(parts)
    return capsys.readouterr().err.splitlines()


@pytest.fixture
def of(tmp_path, capsys):
    def made(rows, **changes):
        (tmp_path / "a.csv").write_text("text,label,part\n" + "".join(f"{t},{n},{p}\n" for t, n, p in rows))
        named = {"split_column": "part", "val_split": "val", **changes}
        return told(text_data(text_config(tmp_path / "a.csv", tmp_path / "cache", **named)), capsys)

    return made


ROWS = [
    (f"word{i} and word{i + 1}", "xy"[i % 2], part)
    for part, n in (("train", 0), ("val", 20), ("test", 40))
    for i in range(n, n + 8)
]


def test_of_sound_data_nothing_is_said(of):
    assert of(ROWS) == []


def test_rows_of_train_in_test_are_counted_and_named(of):
    (line,) = of([*ROWS, ("word3 and word4", "y", "test")])
    assert line.startswith("warning: 1 of the 9 rows of test are in train too (row 8 of test is row 3 of train)")
    assert "data.group_column" in line


def test_a_class_of_one_row_and_parts_without_a_class_are_named(of):
    once, *lacking = of([*ROWS, ("something else", "z", "train")])
    assert once.startswith("warning: z has one row")
    assert [line.partition(" has no row of z")[0] for line in lacking] == [
        "warning: val (data.val_split=val)",
        "warning: test (data.test_split=test)",
    ]


def test_equal_pictures_are_found_too(tmp_path, capsys):
    images, labels = image_rows(20)
    rows = {"train": (images, labels), "test": ([*image_rows(9, seed=5)[0], images[4]], [0, 1] * 5)}
    source = make_image_source(tmp_path / "s", rows=rows)
    lines = told(image_data(image_config(source, tmp_path / "cache", val_split="train")), capsys)
    assert any("1 of the 10 rows of test are in train too (row 9 of test is row 4 of train)" in line for line in lines)
