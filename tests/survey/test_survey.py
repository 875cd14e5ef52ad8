"""`attnpred data SOURCE`: what it understands, counts and finds, as JSON, as text and as a page."""

import json

import numpy as np
import pytest
from PIL import Image

from attnpred.cli import main
from attnpred.survey.column_stats import MOST_DISTINCT, ColumnStats
from tests.data.made import LONG, image_rows, png, text_rows


@pytest.fixture
def look(capsys):
    def looked(*words):
        assert main(["data", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return looked


@pytest.fixture
def reviews(tmp_path):
    """240 reviews, with what can be wrong with some."""
    texts, labels = text_rows(240)
    names = ["good" if label else "bad" for label in labels]
    texts[30], names[30] = texts[3], "bad" if names[3] == "good" else "good"  # equal, with another label
    texts[40], names[40] = LONG, names[40]
    texts[50], names[50] = f"{LONG} it was", names[50]  # nearly equal
    texts[60] = ""
    texts[70] += "<br />fine"
    lines = [f'"{t}",{n},{i / 4}' for i, (t, n) in enumerate(zip(texts, names, strict=True))]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,stars,price", *lines]) + "\n")
    return names


def test_columns_and_parts_are_described(reviews, look):
    story = look("reviews.csv")
    assert story["splits"] == [{"name": "train", "rows": 240}]
    kinds = {one["name"]: (one["kind"], one["plays"]) for one in story["columns"]}
    assert kinds == {"review": ("text", "input"), "stars": ("text", "target"), "price": ("number", None)}
    assert next(one for one in story["columns"] if one["name"] == "price")["numbers"][::3] == [0, 239 / 4]
    assert [(part["part"], part["rows"]) for part in story["parts"]] == [("train", 192), ("val", 24), ("test", 24)]
    totals = {name: sum(part["classes"][name] for part in story["parts"]) for name in ("bad", "good")}
    assert totals == {name: reviews.count(name) for name in ("bad", "good")}
    assert story["command"] == "attnpred train model=transformer data=texts data.source=reviews.csv"


def test_odd_and_repeated_rows_are_named(reviews, look):
    story = look("reviews.csv")
    problems = {one["what"]: (one["count"], one["rows"]) for one in story["problems"]}
    assert problems == {
        "empty": (1, ["row 60 of train (reviews.csv)"]),
        "with HTML": (1, ["row 70 of train (reviews.csv)"]),
    }
    equal, nearly = story["pairs"]
    assert (equal["count"], equal["other_target"]) == (1, 1)
    assert equal["shown"][0]["targets"] == [reviews[3], reviews[30]]
    assert nearly["count"] == 1


def test_parts_are_those_that_training_makes(reviews, look, tmp_path):
    from attnpred.config import compose
    from attnpred.data.class_target import ClassTarget
    from attnpred.modalities.text.data import TextData

    options = ["data.text_column=review", "data.label_column=stars", "data.folds=4", "data.fold=1"]
    chosen = ["model=transformer", "data=texts", "data.source=reviews.csv", f"data.cache_dir={tmp_path / 'c'}"]
    data = TextData(compose.compose([*chosen, *options]).data, ClassTarget(["stars"], "data.label_column"))
    trained = {part.split: (len(part.rows), part.counts) for part in data.parts()}
    story = look("reviews.csv", *options)
    assert {one["part"]: (one["rows"], one["classes"]) for one in story["parts"]} == trained


def test_the_task_follows_from_the_target(reviews, look):
    story = look("reviews.csv", "data.label_column=price")
    assert story["command"].endswith("data.label_column=price task=regression")
    assert {one["name"] for one in story["columns"] if one["plays"] == "target"} == {"price"}


def test_what_cannot_be_told_is_asked(look, tmp_path):
    (tmp_path / "a.csv").write_text("text,one,two\nsome words that are long,1,2\nmore words that are long,3,4\n")
    story = look("a.csv")
    assert story["question"].startswith(
        "data.label_column: which column of a.csv holds the target? There is one (1, 3)"
    )
    assert [one["name"] for one in story["columns"]] == ["text", "one", "two"]


def test_what_training_would_refuse_is_said(look, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nsome words that are long,1\nmore words that are long,2\n")
    assert "carves 0 of the 2 rows" in look("a.csv")["refused"]


def test_a_shipped_dataset_goes_by_its_name(look):
    story = look("digits")
    assert story["command"] == "attnpred train model=resnet_attention data=digits"
    assert ["height × width", "8 × 8 grey (1,797)"] in story["facts"]
    assert sum(part["rows"] for part in story["parts"]) == 1797


@pytest.fixture
def photos(tmp_path):
    for i, (image, label) in enumerate(zip(*image_rows(40, size=(20, 24)), strict=True)):
        folder = tmp_path / "photos" / ("test" if i % 4 == 0 else "train") / "ab"[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02}.png").write_bytes(png(image))
    shade = np.linspace(0, 255, 24).astype(np.uint8)[None, :, None].repeat(20, 0).repeat(3, 2)
    Image.fromarray(shade).save(tmp_path / "photos/train/a/shade.png")
    Image.fromarray(shade).save(tmp_path / "photos/test/a/shade.jpg", quality=60)
    (tmp_path / "photos/train/b/broken.png").write_bytes(b"no picture")


def test_pictures_have_sizes_and_near_duplicates(photos, look):
    story = look("photos", "data.on_bad_row=skip")
    assert ["height × width", "20 × 24 RGB (42)"] in story["facts"]
    assert next((one["what"], one["rows"]) for one in story["problems"]) == (
        "no image that can be read",
        ["row 31 of train (train/b/broken.png)"],
    )
    _, nearly = story["pairs"]
    named = [row for pair in nearly["shown"] for row in pair["rows"]]
    assert any("train/a/shade.png" in row for row in named)
    assert any("test/a/shade.jpg" in row for row in named)
    assert {part["part"]: part["rows"] for part in story["parts"]}["test"] == 11


def test_as_text_and_as_a_page(reviews, tmp_path, capsys):
    assert main(["data", "reviews.csv", "--html", "page.html"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == "reviews.csv: train 240 rows"
    assert told.out.splitlines()[-1].startswith("to train: attnpred train ")
    assert "odd: 1 row empty: row 60 of train (reviews.csv)" in told.out
    assert "page: page.html" in told.err
    page = (tmp_path / "page.html").read_text()
    assert "{{" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a source"),
        (["a.csv", "b.csv"], "name one source"),
        (["nowhere.csv"], "no such file"),
        (["a*.csv"], "no file has such a name"),
        (["--run", "nowhere"], "no such directory"),
    ],
)
def test_mistakes_are_told_in_one_line(words, said, capsys):
    assert main(["data", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_column_of_any_size_takes_the_same_memory():
    stats = ColumnStats()
    for start in range(0, 20 * MOST_DISTINCT, 1000):
        stats.add([f"text {i}" for i in range(start, start + 1000)])
    story = stats.story()
    assert story["distinct"] is None
    assert story["words"] == [2, 2, 2, 2]
    assert len(stats._words.kept) < stats.rows


def test_what_a_stranger_wrote_is_obeyed_by_no_terminal(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("text,label\x1b[2J\nsome \x1b]0;owned\x07 words that are long,1\nothers,2\n")
    assert main(["data", "a.csv"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tags.jsonl", "tags.conll"])
def test_words_and_tags_are_understood(name, tmp_path, look):
    """Two rows have the same words, and other tags."""
    rows = [(f"w{n} in Rome".split(), ["O", "O", "B-place"]) for n in range(30)]
    rows.append((rows[3][0], ["O", "O", "O"]))
    if name.endswith("conll"):
        text = "\n".join("".join(f"{w} {t}\n" for w, t in zip(*row, strict=True)) for row in rows)
    else:
        text = "".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in rows)
    (tmp_path / name).write_text(text)
    story = look(str(tmp_path / name))
    assert (story["refused"], story["question"]) == (None, None)
    assert "data=tags" in story["command"]
    (equal,) = [pair for pair in story["pairs"] if pair["kind"] == "equal"]
    assert (equal["count"], equal["other_target"]) == (1, 1)
    assert equal["shown"][0]["targets"] == ["O O B-place", "O O O"]
