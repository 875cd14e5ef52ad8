"""Runs as Python code uses them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import attnpred
from attnpred.errors import UserError
from attnpred.inference.trained import Answers
from attnpred.modalities.text.reader import TextReader
from attnpred.pages.colours import shade
from attnpred.runs.run import Run
from tests.explain.conftest import trained  # noqa: F401
from tests.models.made import CLASSES, TEXT
from tests.tasks.made import classification


def test_three_lines(trained, tmp_path):  # noqa: F811
    file = tmp_path / "digit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)).save(file)
    answers = attnpred.load(str(trained)).predict(str(file))
    [answer] = answers
    assert answer["label"] in answer["probabilities"]
    assert np.sum(answer["attention"]) == pytest.approx(1, abs=1e-5)
    assert answers._repr_html_().count("<img ") == 1
    [signed] = attnpred.load(str(trained)).predict(str(file), explainer="input_x_gradient")
    assert np.min(signed["attention"]) < 0 < np.max(signed["attention"])
    assert signed["probabilities"] == pytest.approx(answer["probabilities"])


@pytest.fixture(scope="module")
def digit(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "digit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)).save(file)
    return file


@pytest.fixture(scope="module")
def loaded(trained):  # noqa: F811
    return attnpred.load(trained)


def test_a_model_is_loaded_once(loaded, digit, monkeypatch):
    loaded.predict(digit)
    monkeypatch.setattr(Run, "load_model", None)
    monkeypatch.setattr(Run, "reader", None)
    for several in (
        loaded.predict(digit, str(digit)),
        loaded.predict([digit, digit]),
        loaded.predict(iter([digit] * 2)),
    ):
        assert [answer["input"] for answer in several] == [str(digit)] * 2
    assert len(loaded.predict()) == 0
    with pytest.raises(UserError, match="3: is no input"):
        loaded.predict(3)
    with pytest.raises(UserError, match="no such explainer"):
        loaded.predict(digit, explainer="nobody")


def test_answers_print_and_become_a_table(loaded, digit, trained):  # noqa: F811
    answers = loaded.predict(digit, digit)
    assert str(answers).count("\n") == 1
    assert f" → {answers[0]['label']} " in str(answers)
    table = answers.to_pandas()
    assert list(table["answer"]) == [answer["label"] for answer in answers]
    assert table["probability"][0] == max(answers[0]["probabilities"].values())
    assert f"attnpred run {trained}: model resnet_attention, data digits" in str(loaded)


def test_maps_are_short_and_may_be_left_out(loaded, digit):
    [answer] = loaded.predict(digit)
    assert max(len(repr(number)) for row in answer["attention"] for number in row) <= len("1.2345e-05")
    [bare] = loaded.predict(digit, attention=False)
    assert list(bare) == ["input", "label", "probabilities"]
    assert bare["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)


def test_it_evaluates_and_explains(loaded, digit, tmp_path):
    assert loaded.evaluate("data.eval_batch_size=64", split="val")["accuracy"] >= 0
    with pytest.raises(UserError, match="cannot be changed for a trained run"):
        loaded.evaluate("seed=3")
    story = loaded.explain(digit, explainers=["attention"])
    assert "<html" in story.save(tmp_path / "page.html").read_text()[:200].lower()
    with pytest.raises(UserError, match="measured on a split"):
        story.to_pandas()
    measured = loaded.explain(explainers=["attention"], limit=8).to_pandas()
    assert {"attention", "random"} <= set(measured.index)
    assert "comprehensiveness" in measured.columns


def test_training_and_listing(tmp_path):
    small = ["data=digits", "model.width=8", "model.depth=1", "trainer.max_steps=2"]
    run = attnpred.train(*small, f"output_dir={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}", "logger=none")
    found = attnpred.runs(str(tmp_path))
    assert [one["run"] for one in found] == [str(run.path)]
    assert found[0]["metric"] == "test/accuracy"  # too short for a validation
    assert found[0]["value"] == found[0]["results"]["test/accuracy"]
    assert str(run.path) in str(found)
    assert list(found.to_pandas()["model"]) == ["resnet_attention"]
    assert len(attnpred.runs(str(tmp_path), where=["model=bert"])) == 0
    with pytest.raises(UserError) as caught:
        attnpred.train("trainer.epochs=3", "seed=-1")
    assert len(caught.value.lines) == 2


def test_types_are_told():
    assert (Path(attnpred.__file__).parent / "py.typed").is_file()


def test_texts_are_drawn_as_text():
    hostile = {
        "input": "x",
        "label": "<i>good",
        "probabilities": {"<i>good": 0.75},
        "words": ["<script>alert(1)</script>", "fine"],
        "attention": [-0.5, 1.0],
    }
    reader = TextReader(TEXT, SimpleNamespace(spelled={}), strip_html=False, truncate="both")
    page = Answers([hostile], classification(CLASSES["text"]), reader)._repr_html_()
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f"rgb{shade(-0.5, signed=True)}" in page
    assert f'<span title="1" style="background:rgb{shade(1.0, signed=True)};color:' in page


def test_a_run_that_is_none():
    with pytest.raises(UserError, match="no such directory"):
        attnpred.load("nowhere")
