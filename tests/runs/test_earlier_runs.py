"""Runs that earlier versions made answer as they did there, and go on."""

import json
import shutil
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.runs.run import Run

MADE = Path(__file__).parents[1] / "runs_made_before"
ANSWERS = json.loads((MADE / "answers.json").read_text())
DONE = ["image_resnet", "image_transformer", "text_transformer", "text_bert"]
EXPLAINERS = ["attention", "integrated_gradients", "occlusion", "random", "attnlrp", "grad_attention", "rollout"]
NEAR = {"rel": 2e-3, "abs": 2e-4}  # what other processors may round differently


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Prepared data goes to a home directory of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", DONE)
def test_a_run_is_evaluated(name, home, capsys):
    assert main(["evaluate", str(MADE / name)]) == 0
    found, known = json.loads(capsys.readouterr().out), ANSWERS[name]["evaluate"]
    assert {key: found[key] for key in ("accuracy", "f1", "loss")} == pytest.approx(
        {key: known[key] for key in ("accuracy", "f1", "loss")}, **NEAR
    )
    assert found["confusion"] == known["confusion"]


@pytest.mark.parametrize("name", [DONE[0], *(pytest.param(name, marks=pytest.mark.slow) for name in DONE[1:])])
def test_a_run_is_explained(name, home, capsys):
    asked = [word for explainer in EXPLAINERS for word in ("--explainer", explainer)]
    assert main(["explain", str(MADE / name), "--split", "test", "--limit", "3", "--json", *asked]) == 0
    story, known = json.loads(capsys.readouterr().out), ANSWERS[name]
    for found, before in zip(story["examples"], known["examples"], strict=True):
        assert (found["id"], found["label"], found["predicted"]) == (before["id"], before["label"], before["predicted"])
        assert found["probabilities"] == pytest.approx(before["probabilities"], **NEAR)
        for explainer, numbers in before["maps"].items():
            assert found["maps"][explainer] == pytest.approx(numbers, rel=1e-2, abs=1e-3), explainer
    for explainer, scores in known["scores"].items():
        means = {score: story["faithfulness"]["scores"][explainer][score][0] for score in scores}
        assert means == pytest.approx(scores, rel=5e-2, abs=1e-2), explainer


def test_a_run_answers_new_input(home, capsys):
    assert main(["predict", str(MADE / "text_transformer"), "she felt happy beside the lamp"]) == 0
    found, known = json.loads(capsys.readouterr().out), ANSWERS["text_transformer"]["predict"]
    assert (found["label"], found["words"]) == (known["label"], known["words"])
    assert found["attention"] == pytest.approx(known["attention"], **NEAR)


@pytest.mark.parametrize("name", ["image_interrupted", "text_interrupted"])
def test_an_interrupted_run_goes_on_as_it_would_have(name, home):
    run = shutil.copytree(MADE / name, home / name)
    assert main(["resume", str(run)]) == 0
    assert Run(run).description()["status"] == "done"
    found, known = json.loads((run / "metrics.json").read_text()), ANSWERS[name]
    assert found["steps"] == known["steps"]
    numbers = ("loss", "accuracy", "examples")
    assert {n: found["test"][n] for n in numbers} == pytest.approx({n: known["test"][n] for n in numbers}, **NEAR)
    assert found["val"]["best"] == pytest.approx(known["val"]["best"], **NEAR)


def test_runs_are_compared(home, capsys):
    assert main(["compare", str(MADE), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["groups"]
    assert len(rows) == len(DONE)
