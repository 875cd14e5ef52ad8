"""Answers to tables of rows: the same as one by one, none lost, gone on with where it was cut off."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.cli import main
from attnpred.console.bar import Bar
from attnpred.errors import UserError
from attnpred.inference import batch_prediction
from attnpred.inference.batch_prediction import Asked, predict_table
from attnpred.inference.predict import predict
from tests.data.made import text_rows


def table(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_answers_are_those_of_predict(text_run, tmp_path):
    texts = text_rows(60, seed=5)[0]
    file = table(tmp_path / "in.parquet", number=list(range(60)), text=texts)
    assert (
        main(
            [
                "predict",
                str(text_run.path),
                "--file",
                str(file),
                "--out",
                str(tmp_path / "o.parquet"),
                "--keep",
                "number",
            ]
        )
        == 0
    )
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert [row["row"] for row in rows] == [row["number"] for row in rows] == list(range(60))
    for row, alone in zip(rows, predict(text_run, text_run.config(), texts), strict=True):
        assert row["label"] == alone["label"]
        assert row["words"] == alone["words"]
        assert row["attention"] == pytest.approx(alone["attention"], abs=1e-5)
        assert row["error"] is None
    assert not (tmp_path / "o.parquet.parts").exists()


@pytest.mark.parametrize("name", ["o.jsonl", "o.csv"])
def test_other_formats_hold_the_same(text_run, tmp_path, name):
    (tmp_path / "in.csv").write_text('text\n"a, lovely"\ndull\n')
    predict_table(text_run, text_run.config(), Asked(tmp_path / "in.csv", tmp_path / name))
    text = (tmp_path / name).read_text()
    rows = (
        [json.loads(line) for line in text.splitlines()]
        if name.endswith("l")
        else list(csv.DictReader(text.splitlines()))
    )
    words = [row["words"] if isinstance(row["words"], list) else json.loads(row["words"]) for row in rows]
    assert words == [["a,", "lovely"], ["dull"]]


def test_a_row_that_cannot_be_read_is_told_and_stops_no_other(text_run, tmp_path):
    file = table(tmp_path / "in.parquet", text=["great", None, "dull"])
    predict_table(text_run, text_run.config(), Asked(file, tmp_path / "o.parquet"))
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert [row["error"] for row in rows] == [None, "the row has no input", None]
    assert [row["label"] is None for row in rows] == [False, True, False]


def test_pictures_lie_in_the_table_or_beside_it_and_nowhere_else(image_run, tmp_path):
    from PIL import Image

    folder = tmp_path / "inside"
    folder.mkdir()
    Image.new("L", (8, 8), 200).save(folder / "a.png")
    Image.new("L", (8, 8), 200).save(tmp_path / "outside.png")
    (folder / "broken.png").write_bytes(b"no picture")
    content = (folder / "a.png").read_bytes()
    paths = table(folder / "paths.parquet", image=["a.png", "../outside.png", "broken.png", "a.png"])
    held = table(folder / "held.parquet", image=[{"bytes": content}] * 2)
    for file in (paths, held):
        predict_table(image_run, image_run.config(), Asked(file, tmp_path / file.name, attention=False))
    rows = pq.read_table(tmp_path / "paths.parquet").to_pylist()
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]
    assert "outside of" in rows[1]["error"]
    whole = [*rows[::3], *pq.read_table(tmp_path / "held.parquet").to_pylist()]
    assert len({json.dumps(row["probabilities"]) for row in whole}) == 1


def test_goes_on_behind_the_last_whole_file(text_run, tmp_path, monkeypatch):
    texts = text_rows(50, seed=6)[0]
    file = table(tmp_path / "in.parquet", text=texts)
    asked = Asked(file, tmp_path / "o.parquet")
    write = batch_prediction._write_shard
    written = []

    def cut_off(path, rows):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(len(rows))
        write(path, rows)

    monkeypatch.setattr(batch_prediction, "_write_shard", cut_off)
    with pytest.raises(KeyboardInterrupt):
        predict_table(text_run, text_run.config(), asked, shard=15)
    assert not asked.out.exists()
    other = Asked(file, asked.out, attention=False)
    with pytest.raises(UserError, match="another command began"):
        predict_table(text_run, text_run.config(), other, shard=15)
    later = []
    monkeypatch.setattr(
        batch_prediction, "_write_shard", lambda path, rows: (later.append(len(rows)), write(path, rows))
    )
    assert predict_table(text_run, text_run.config(), asked, shard=15) == 50
    assert (written, later) == ([15, 15], [15, 5])
    found = [row["label"] for row in pq.read_table(asked.out).to_pylist()]
    assert found == [one["label"] for one in predict(text_run, text_run.config(), texts)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--file", "none.parquet", "--out", "o.parquet"], "no such file"),
        (["--file", "in.parquet", "--out", "o.xlsx"], "answers are written as"),
        (["--file", "in.parquet", "--out", "in.parquet"], "is the table that is read"),
        (["--file", "in.parquet", "--out", "o.csv", "--column", "body"], "has no column body, but text; name one"),
        (["--file", "in.parquet"], "give inputs, or a table by --file and --out"),
        (["great", "--file", "in.parquet", "--out", "o.csv"], "give inputs, or a table by --file and --out"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(text_run, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "in.parquet", text=["great"])
    assert main(["predict", str(text_run.path), *words]) == 2
    assert said in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["in.parquet"]


def test_the_bar_tells_how_far_and_how_fast():
    bar = Bar("rows", 400, done=100)
    bar.add(100)
    assert bar.line(10.0) == "rows: 200 of 400 ████████████░░░░░░░░░░░░  10 a second, 0:20 left"
    assert Bar("rows", None).line(1.0) == "rows: 0  0 a second"
