"""Columns that nobody named are found by name and content, or asked for in one line."""

import json

import pytest

from attnpred.config import compose
from attnpred.data.columns import image_in, settled, text_beside_others, text_in
from attnpred.errors import UserError


@pytest.fixture
def config_for(tmp_path):
    """The options of a file with these columns, each given by its values."""

    def made(columns, **changes):
        file = tmp_path / "rows.jsonl"
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = [f"data.{name}={value}" for name, value in changes.items()]
        return compose.compose(["model=transformer", "data=texts", f"data.source={file}", *given]).data

    return made


LONG = ["a film that I liked a lot", "one that was far too long for me"]


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ({"text": LONG, "label": [0, 1]}, "text", "label"),
        ({"Review": LONG, "stars": [1, 5], "when": ["may", "june"]}, "Review", "stars"),
        ({"what": LONG, "grade": ["b", "a"]}, "what", "grade"),  # neither is called so: one is long, one is left
        ({"title": ["x", "y"], "said": LONG, "target": [1.5, 2.5]}, "said", "target"),
    ],
)
def test_they_are_found(columns, text, label, config_for, capsys):
    found = settled(config_for(columns), "class")
    assert (found.text_column, found.label_column) == (text, label)
    assert f"data.text_column={text}, data.label_column={label}" in capsys.readouterr().err


def test_what_was_named_is_kept(config_for):
    columns = {"text": ["a", "b"], "other": LONG, "label": [0, 1], "price": [1, 2]}
    found = settled(config_for(columns, text_column="other", label_column="price"), "class")
    assert (found.text_column, found.label_column) == ("other", "price")
    assert settled(config_for(columns, label_column="price"), "class").text_column == "text"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"one": LONG, "two": LONG, "label": [0, 1]}, "data.text_column: which column of .* holds the text"),
        ({"text": LONG, "price": [3, 4], "area": [7, 8]}, r"holds the target\? There is price \(3, 4\); area \(7, 8\)"),
        ({"text": LONG, "label": [0, 1], "target": [1, 0]}, "data.label_column: which column"),
    ],
)
def test_what_cannot_be_told_is_asked_for_in_one_line(columns, expected, config_for):
    with pytest.raises(UserError, match=expected) as error:
        settled(config_for(columns), "class")
    assert "\n" not in str(error.value)


def test_a_dataset_that_names_its_columns_is_not_opened():
    config = compose.compose(["model=transformer", "data=imdb", "data.source=/nowhere"]).data
    assert settled(config, "class") is config


def test_a_column_is_found_for_a_kind_that_names_none(config_for, capsys):
    columns = {"said": LONG, "score": [1.5, 2.5], "colour": ["red", "blue"]}
    found = settled(config_for(columns, text_column="said", targets="{number: null}"), "number")
    assert found.target_columns("number") == (["score"], "data.targets.number")
    assert "data.targets.number=score" in capsys.readouterr().err


def test_a_target_that_is_listed_by_its_kind_is_not_asked_for(config_for):
    columns = {"said": LONG, "other": LONG, "length": [1.5, 2.5], "colour": ["red", "blue"]}
    found = settled(config_for(columns, text_column="said", targets="{number: length}"), "number")
    assert (found.text_column, found.label_column) == ("said", None)
    assert found.target_columns("number") == (["length"], "data.targets.number")


def test_splits_that_are_left_open_are_found(tmp_path, capsys):
    for stem in ("train", "val", "test"):
        (tmp_path / f"{stem}.csv").write_text("text,label\nsome words that are long,a\nmore words that are long,b\n")
    chosen = ["model=transformer", "data=texts", f"data.source={tmp_path}"]
    found = settled(compose.compose(chosen).data, "class")
    assert (found.val_split, found.test_split) == ("validation", "test")
    assert "data.val_split=validation, data.test_split=test" in capsys.readouterr().err
    (tmp_path / "val.csv").unlink()
    found = settled(compose.compose([*chosen, "data.text_column=text", "data.label_column=label"]).data, "class")
    assert (found.val_split, found.test_split) == (None, "test")
    folds = settled(compose.compose([*chosen, "data.folds=3", "data.fold=0"]).data, "class")
    assert (folds.val_split, folds.test_split) == (None, "test")


def test_what_carves_is_no_target(config_for):
    columns = {"text": LONG, "grade": ["a", "b"], "patient": [1, 2], "part": ["train", "train"]}
    found = settled(config_for(columns, group_column="patient", split_column="part"), "class")
    assert found.label_column == "grade"


@pytest.mark.parametrize(
    ("columns", "image"),
    [
        ({"where": ["a/1.png", "a/2.JPG"], "label": [0, 1]}, "where"),
        ({"file": ["1.png", "2.png"], "image": ["1.png", "2.png"], "label": [0, 1]}, "image"),
        ({"one": ["1.png", "2.png"], "two": ["1.png", "2.png"], "label": [0, 1]}, None),
        ({"text": LONG, "label": [0, 1]}, None),
    ],
)
def test_pictures_are_found_by_their_paths(columns, image):
    assert image_in(columns) == image


def test_a_short_text_is_found_beside_a_target():
    columns = {"caption": ["a film", "long"], "label": ["x", "y"], "size": [1, 2]}
    assert text_in(columns) is None
    assert text_beside_others(columns) == "caption"
    assert text_beside_others({**columns, "other": ["b", "c"]}) is None
