"""A kind of input that a package brings goes through every verb, and nothing of attnpred knows of it."""

import json
from pathlib import Path

import pytest

from attnpred.cli import main
from tests.config.packages_made import put
from tests.modalities.wave_made import FILES

PACKAGE = "wavepkg"


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        put(tmp_path / PACKAGE / name, text.replace("PACKAGE", PACKAGE))

    def said(*words):
        assert main([words[0], "--package", PACKAGE, *map(str, words[1:])]) == 0
        return capsys.readouterr().out

    return said


def test_it_is_trained_measured_answered_and_explained(say, place, tmp_path):
    few = ["trainer.max_epochs=30", "trainer.precision=32-true", "optimizer.lr=3e-2", "trainer.log_every_steps=5"]
    run = Path(say("train", "model=moments", "data=waves", *few, *place).splitlines()[-1])
    result = json.loads((run / "metrics.json").read_text())
    assert result["test"]["accuracy"] > 0.9
    assert {"comprehensiveness", "sufficiency"} <= result["attention"]["scores"]["attention"].keys()
    assert json.loads(say("evaluate", run))["accuracy"] == pytest.approx(result["test"]["accuracy"])
    answer = json.loads(say("predict", run, "0,0,3,0,0,0"))
    assert answer["label"] == "up"
    assert len(answer["words"]) == len(answer["attention"]) == 6
    story = json.loads(say("explain", run, "--json", "--limit", "4", "--removal", "zero", "--explainer", "occlusion"))
    assert story["faithfulness"]["removal"] == "zero"
    for example in story["examples"]:
        strongest = max(range(6), key=lambda i, example=example: abs(example["maps"]["occlusion"][i]))
        assert strongest == 2, "the moment that decides"
    page = Path(say("explain", run, "--limit", "3").strip())
    assert "moment 2" in page.read_text()


def test_a_bad_input_and_a_wrong_pair_are_one_line(say, place, capsys):
    few = ["trainer.max_steps=2", "trainer.precision=32-true", "logger=none"]
    run = say("train", "model=moments", "data=waves", *few, *place).splitlines()[-1]
    assert main(["predict", "--package", PACKAGE, run, "1,two"]) == 2
    assert "1,two: is no wave; give numbers with commas between" in capsys.readouterr().err
    assert main(["train", "--package", PACKAGE, "model=transformer", "data=waves"]) == 2
    assert "the dataset holds wave; use model=moments" in capsys.readouterr().err
    assert main(["predict", run, "1,2"]) == 2
    assert f"give --package {PACKAGE}" in capsys.readouterr().err
