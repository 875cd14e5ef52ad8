"""A run watched: its own kind of input gives no alarm, another kind does, from tables and from a service's log."""

import json
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.inference.monitoring import reference
from attnpred.inference.monitoring.log import Log, read
from attnpred.inference.monitoring.observer import Observer
from attnpred.inference.monitoring.report import render
from attnpred.inference.predict import Predictor
from tests.data.made import text_rows
from tests.explain.browser import executable


@pytest.fixture(scope="module")
def watched(text_run):
    """A run that keeps its reference."""
    assert main(["monitor", str(text_run.path)]) == 0
    return text_run


def table(path, texts, **columns):
    pq.write_table(pa.table({"text": texts, **columns}), path)
    return str(path)


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_the_reference_is_kept_and_tells_its_false_alarms(watched):
    known = reference.find(watched)
    assert known.about["split"] == "val"
    assert len(known.rows) == 150
    assert {"input: length", "attention: place", "answer: confidence"} <= set(known.rows.numbers)
    assert known.rows.vectors.shape == (150, 16)
    assert [one["rows"] for one in known.false_alarms] == [100, 200]
    assert all(one["alarms"] <= 0.05 * one["windows"] for one in known.false_alarms)


def test_a_validation_split_that_is_unlike_test_is_no_reference(watched, monkeypatch, capsys):
    before = {file: file.read_bytes() for file in (watched.path / "reference").iterdir()}
    measured = reference.false_alarms
    loud = [{"rows": 100, "windows": 100, "alarms": 30}]
    monkeypatch.setattr(
        reference, "false_alarms", lambda known, held: loud if len(known) == 150 else measured(known, held)
    )
    try:
        found = reference.make(watched, watched.config())
        assert (found.about["split"], len(found.rows)) == ("test", 200)
        assert "half of it is taken instead" in capsys.readouterr().err
        assert reference.make(watched, watched.config(), "val").about["split"] == "val"
    finally:
        for file, content in before.items():
            file.write_bytes(content)


def test_input_of_the_same_kind_gives_no_alarm(watched, tmp_path, capsys):
    texts, labels = text_rows(300, seed=77)
    file = table(tmp_path / "new.parquet", texts, stars=labels)
    assert main(["monitor", str(watched.path), "--on", file, "--label", "stars", "--json"]) == 0
    story = told(capsys)
    assert not story["alarm"]
    assert "answer: calibration" in {one["name"] for one in story["measures"]}


def test_input_of_another_kind_gives_alarm(watched, tmp_path, capsys):
    texts = ["quarterly revenue rose by 12 % to $3.1bn, " * 5] * 100 + ["XQ ZW"] * 100
    gauges, page = tmp_path / "drift.prom", tmp_path / "drift.html"
    words = ["--on", table(tmp_path / "new.parquet", texts), "--prometheus", str(gauges), "--html", str(page)]
    assert main(["monitor", str(watched.path), *words]) == 3
    said = capsys.readouterr().out
    assert "ALARM" in said
    assert "false alarms:" in said
    assert f'attnpred_drift_alarm{{run="{watched.path.name}"}} 1.0' in gauges.read_text()
    assert "input: unknown words" in gauges.read_text()
    assert page.stat().st_size < 200_000


def test_a_log_is_watched_without_the_inputs(watched, tmp_path, capsys):
    predictor = Predictor(watched, watched.config())
    known, digest = reference.find(watched), reference.find(watched).about["weights"]
    about = {"model": "films", "version": "1", "weights": digest}
    texts, labels = text_rows(200, seed=78)
    predictor.watch = Log(tmp_path / "log", Observer(predictor), known, about, inputs=False)
    answers = list(predictor.answers(texts, None, False))
    text = "".join(file.read_text() for file in (tmp_path / "log").glob("*.jsonl"))
    assert not any(one in text for one in texts)
    (tmp_path / "log" / "half.jsonl").write_text('{"weights": "')
    rows, ids = read(tmp_path / "log", {digest}, 1000)
    assert len(rows) == 200
    assert sorted(ids) == sorted(one["id"] for one in answers)
    later = tmp_path / "later.csv"
    lines = [f"{one['id']},{label}" for one, label in zip(answers, labels, strict=True)]
    later.write_text("\n".join(["id,label", *lines]) + "\n")
    words = ["--log", str(tmp_path / "log"), "--labels", str(later), "--json"]
    assert main(["monitor", str(watched.path), *words]) == 0
    story = told(capsys)
    assert story["rows"] == 200
    names = {one["name"] for one in story["measures"]}
    assert {"answer: calibration", "embedding: MMD", "attention: concentration"} <= names
    predictor.watch = Log(tmp_path / "raw", Observer(predictor), known, about, inputs=True)
    list(predictor.answers(["only here"], None, False))
    assert "only here" in next((tmp_path / "raw").glob("*.jsonl")).read_text()


def test_a_log_of_other_weights_is_left_out(watched, tmp_path, capsys):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.jsonl").write_text(json.dumps({"weights": "other", "input: length": 1.0}) + "\n")
    assert main(["monitor", str(watched.path), "--log", str(tmp_path / "log")]) == 2
    assert "has 0 rows that can be read" in capsys.readouterr().err


def test_a_service_tells_drift_to_prometheus(watched, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from starlette.testclient import TestClient

    from attnpred.inference.serving.app import Service
    from attnpred.inference.serving.models import Model
    from attnpred.inference.serving.options import Options, Served

    served = Served(name="films", version="1", path=watched.path)
    service = Service(Options(served=[served]), [Model(served, "auto", tmp_path / "log")], log=False)
    with TestClient(service.app()) as client:
        answers = client.post("/v1/predict", json={"inputs": ["XQ ZW"] * 128}).json()["answers"]
        assert len({one["id"] for one in answers}) == 128
        text = client.get("/metrics").text
    assert 'attnpred_drift_alarm{model="films",version="1"} 1.0' in text
    assert 'measure="attention: concentration"' in text


def test_pictures_are_watched(image_run, tmp_path, capsys):
    from PIL import Image

    assert main(["monitor", str(image_run.path)]) == 0
    known = reference.find(image_run)
    assert {"input: brightness", "input: sharpness", "attention: row", "attention: column"} <= set(known.rows.numbers)
    random = np.random.default_rng(0)
    contents = []
    for _ in range(60):
        file = BytesIO()
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(file, "PNG")
        contents.append({"bytes": file.getvalue()})
    pq.write_table(pa.table({"image": contents}), tmp_path / "noise.parquet")
    assert main(["monitor", str(image_run.path), "--on", str(tmp_path / "noise.parquet"), "--json"]) == 3
    assert "input: sharpness" in {one["name"] for one in told(capsys)["measures"] if one["alarm"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [("reference.json", "{}"), ("reference.json", "[" * 100_000), ("rows.parquet", "no table")],
)
def test_a_damaged_reference_is_told(watched, name, content):
    file = watched.path / "reference" / name
    before = file.read_bytes()
    file.write_text(content)
    try:
        with pytest.raises(UserError, match=r"reference"):
            reference.find(watched)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on", "missing.parquet"], "no such file"),
        (["--log", "missing"], "no such directory"),
        (["--labels", "a.csv"], "belongs to a log"),
        (["--last", "0", "--log", "a"], "must be above 0"),
        (["--on", "few.parquet"], "needs 20 or more"),
        (["--on", "few.parquet", "--log", "a"], "not allowed with"),
    ],
)
def test_mistakes_are_one_line(watched, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    table(tmp_path / "few.parquet", ["a"] * 5)
    assert main(["monitor", str(watched.path), *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
def test_the_page_shows_measures_and_alarms(watched, tmp_path, capsys, opened):
    file = table(tmp_path / "new.parquet", ["XQ ZW"] * 100)
    assert main(["monitor", str(watched.path), "--on", file, "--json"]) == 3
    story = told(capsys)
    story["source"] = "<b>evil</b>"
    browser = opened(render(story))
    assert browser.ask("document.getElementById('verdict').textContent").startswith("Alarm: ")
    assert browser.ask("document.querySelectorAll('#measures tbody tr').length") == len(story["measures"])
    drawn = sum(one["histogram"] is not None for one in story["measures"])
    assert browser.ask("document.querySelectorAll('#charts svg.chart').length") == drawn
    assert browser.ask("document.querySelectorAll('main b, header b').length") == drawn
    assert "<b>evil</b>" in browser.ask("document.getElementById('facts').textContent")
