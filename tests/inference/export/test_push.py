"""A run in the hub's layout is read again by `hub:` and answers alike; strangers' folders do no harm."""

import json
import shutil

import pytest
import safetensors.torch
import torch

import attnpred
from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.inference.predict import predict
from attnpred.runs.run import Run

TEXTS = ["a lovely plot", "the film was dull", ""]


@pytest.fixture(scope="module")
def root(run, tmp_path_factory):
    """Where `hub:org/liked` lies."""
    root = tmp_path_factory.mktemp("hub")
    assert main(["push", str(run.path), "org/liked", "--folder-only", "--out", str(root / "org" / "liked")]) == 0
    return root


@pytest.fixture(autouse=True)
def _found_there(root, monkeypatch):
    monkeypatch.setenv("ATTNPRED_DATA", str(root))


def test_it_answers_as_the_run_does(run, root):
    loaded = attnpred.load("hub:org/liked")
    assert loaded.predict(TEXTS) == list(predict(run, run.config(), TEXTS))
    assert main(["predict", "hub:org/liked", "great"]) == 0


def test_the_folder_has_the_hubs_layout_and_no_place_of_this_machine(run, root):
    folder = root / "org" / "liked"
    names = {file.name for file in folder.iterdir()}
    assert {"README.md", "config.json", "config.yaml", "model.safetensors", "run.json", "tokenizer.json"} <= names
    assert json.loads((folder / "config.json").read_text())["model_type"] == "attnpred"
    for name in names - {"model.safetensors"}:
        text = (folder / name).read_text()
        assert str(run.path.parents[1]) not in text
        assert run.description()["host"] not in text or name == "tokenizer.json"
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    assert weights.keys() == run.weights().keys()
    assert all(torch.equal(weights[name], value) for name, value in run.weights().items())


def test_a_calibrated_run_answers_there_as_it_does_here(run, tmp_path, monkeypatch):
    calibrated = tmp_path / "calibrated"
    shutil.copytree(run.path, calibrated)
    (calibrated / "calibration.json").write_text(json.dumps({"temperature": 2.0}))
    given = ["push", str(calibrated), "org/liked", "--folder-only", "--out", str(tmp_path / "org" / "liked")]
    assert main(given) == 0
    monkeypatch.setenv("ATTNPRED_DATA", str(tmp_path))
    here = Run(calibrated)
    answers = attnpred.load("hub:org/liked").predict(TEXTS)
    assert answers == list(predict(here, here.config(), TEXTS))
    assert answers != list(predict(run, run.config(), TEXTS))


def test_weights_that_are_none_are_told(root, tmp_path, monkeypatch):
    shutil.copytree(root / "org", tmp_path / "org")
    monkeypatch.setenv("ATTNPRED_DATA", str(tmp_path))
    (tmp_path / "org" / "liked" / "model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(UserError, match="no weights can be read"):
        attnpred.load("hub:org/liked").predict("great")


def test_a_link_out_of_a_folder_is_refused(root, tmp_path, monkeypatch):
    folder = tmp_path / "org" / "evil"
    folder.mkdir(parents=True)
    (folder / "config.yaml").symlink_to("/etc/passwd")
    monkeypatch.setenv("ATTNPRED_DATA", str(tmp_path))
    with pytest.raises(UserError, match="a link that leads out"):
        Run.find("hub:org/evil")


def test_mistakes_are_told_in_a_line(run, root, capsys):
    assert main(["push", str(run.path), "no name"]) == 2
    assert "give ORG/NAME" in capsys.readouterr().err
    assert main(["push", str(run.path), "org/liked", "--folder-only", "--out", str(root / "org" / "liked")]) == 2
    assert "is there already" in capsys.readouterr().err


def test_without_a_token_the_folder_is_made_and_nothing_is_sent(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert main(["push", str(run.path), "org/liked", "--out", str(tmp_path / "folder")]) == 0
    assert "not sent (no token" in capsys.readouterr().err
    assert (tmp_path / "folder" / "model.safetensors").is_file()
