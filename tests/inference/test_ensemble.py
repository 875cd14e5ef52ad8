"""Runs that are made of several, and answers that are made as sure as they are right."""

import json
import shutil

import pytest
import torch

from attnpred.cli import main
from attnpred.config import compose
from attnpred.contracts import AnswerSpec
from attnpred.errors import UserError
from attnpred.explain.base import make
from attnpred.inference.calibrate import Said, fitted
from attnpred.models.ensemble import averaged, regridded
from attnpred.runs.run import Run

SMALL = ["data=digits", "trainer.max_steps=25", "data.batch_size=64", "trainer.precision=32-true", "logger=none"]
SMALL += ["trainer.attention_examples=0", "trainer.accelerator=cpu", "trainer.max_epochs=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("ensembles")


@pytest.fixture(scope="module")
def runs(place):
    """Two of one kind and seed, and one of another kind, whose regions are others."""
    found = []
    resnet = ["model.width=8", "model.depth=1"]
    other = ["model=transformer", "model.width=8", "model.heads=2", "model.depth=1", "model.patch=4"]
    for number, extra in enumerate((resnet, [*resnet, "optimizer.lr=0.02"], other)):
        directory = place / str(number)
        assert main(["train", f"output_dir={directory}", f"data.cache_dir={place / 'cache'}", *SMALL, *extra]) == 0
        found.append(Run(next(directory.rglob("run.json")).parent))
    return found


@pytest.fixture
def made(runs, place, capsys):
    def make_of(*words):
        assert main(["ensemble", *map(str, words), "--output-dir", str(place / "made")]) == 0, capsys.readouterr().err
        return Run.find(capsys.readouterr().out.splitlines()[-1])

    return make_of


@pytest.fixture(scope="module")
def batch(runs):
    return next(iter(runs[0].data(runs[0].config()).loader("val").sample(16)))


def chances(run, batch):
    with torch.no_grad():
        return run.load_model()(batch).answer.softmax(-1)


def test_answers_are_averaged_and_so_is_attention(runs, made, batch, capsys):
    run = made(runs[0].path, runs[2].path)
    shutil.copytree(run.path, run.path.with_name("moved"))
    moved = Run.find(str(run.path.with_name("moved")))  # the directory is all that it needs
    expected = (chances(runs[0], batch) + chances(runs[2], batch)) / 2
    torch.testing.assert_close(chances(moved, batch), expected, rtol=1e-4, atol=1e-5)
    seen = moved.load_model()(batch, need_attention=True).attention
    torch.testing.assert_close(seen.importance.sum(1), torch.ones(len(batch)))
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert main(["evaluate", str(moved.path)]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(metrics["test"]["accuracy"])
    assert main(["explain", str(moved.path), "--json", "--limit", "3", "--explainer", "input_x_gradient"]) == 0
    assert main(["compare", str(runs[0].path), str(run.path)]) == 0
    assert "ensemble" in capsys.readouterr().out
    assert run.description()["ensemble"] == {"of": [str(runs[0].path), str(runs[2].path)], "mean": "answers"}


def test_an_explainer_looks_into_each_member(runs, made, batch):
    run = made(runs[0].path, runs[1].path)
    task, choice = run.task(), torch.zeros(len(batch), dtype=torch.long)
    whole = make("input_x_gradient", run.load_model(), task)
    assert whole.signed
    each = [make("input_x_gradient", one.load_model(), task)(batch, choice) for one in runs[:2]]
    torch.testing.assert_close(whole(batch, choice), (each[0] + each[1]) / 2)


def test_weights_are_averaged_where_runs_had_one_beginning(runs, made, capsys):
    run = made(runs[0].path, runs[1].path, "--weights")
    own, first, other = (one.weights() for one in (run, *runs[:2]))
    assert own.keys() == first.keys()
    torch.testing.assert_close(own["head.weight"], (first["head.weight"] + other["head.weight"]) / 2)
    assert main(["ensemble", str(runs[0].path), str(runs[2].path), "--weights"]) == 2
    assert "began with other weights" in capsys.readouterr().err


def test_what_does_not_go_together_is_refused(runs, place, capsys):
    assert main(["ensemble", str(runs[0].path)]) == 2
    assert "one run is no ensemble" in capsys.readouterr().err
    other = place / "other"
    shutil.copytree(runs[0].path, other)
    specs = json.loads((other / "spec.json").read_text())
    specs["target"]["classes"][0] = "nought"
    (other / "spec.json").write_text(json.dumps(specs))
    assert main(["ensemble", str(runs[0].path), str(other), "--output-dir", str(place / "none")]) == 2
    assert "has other classes" in capsys.readouterr().err
    assert not (place / "none").exists()
    with pytest.raises(UserError, match="members"):
        compose.checked({**compose.plain(runs[0].config()), "model": {"_target_": "attnpred.models.ensemble.Ensemble"}})


def test_a_run_is_calibrated_and_stays_so(runs, place, batch, capsys):
    directory = place / "calibrated"
    shutil.copytree(runs[1].path, directory)
    assert main(["calibrate", str(directory)]) == 0
    found = json.loads(capsys.readouterr().out)
    heat = found["temperature"]
    assert found["val"]["after"]["loss"] < found["val"]["before"]["loss"]
    run = Run.find(str(directory))
    with torch.no_grad():
        torch.testing.assert_close(run.load_model()(batch).answer, runs[1].load_model()(batch).answer / heat)
    assert main(["evaluate", str(directory)]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["loss"] == pytest.approx(found["test"]["after"]["loss"], rel=1e-3)
    assert measured["calibration_error"] == pytest.approx(found["test"]["after"]["calibration_error"], abs=5e-3)
    assert main(["calibrate", str(directory)]) == 0  # anew, not on top
    assert json.loads(capsys.readouterr().out)["temperature"] == pytest.approx(heat, rel=1e-3)
    (directory / "calibration.json").write_text('{"temperature": -1}')
    assert main(["evaluate", str(directory)]) == 2
    assert "holds no temperature above 0" in capsys.readouterr().err


def test_a_calibrated_member_stays_so_in_an_ensemble(runs, place, made, batch):
    directory = place / "member"
    shutil.copytree(runs[0].path, directory)
    (directory / "calibration.json").write_text('{"temperature": 3.0}')
    run = made(directory, runs[1].path)
    expected = (chances(Run(directory), batch) + chances(runs[1], batch)) / 2
    torch.testing.assert_close(chances(run, batch), expected, rtol=1e-4, atol=1e-5)


def test_the_temperature_undoes_what_made_answers_too_sure():
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    truths = torch.distributions.Categorical(logits=logits).sample()
    said = Said(4 * logits, truths)
    assert fitted(said) == pytest.approx(4, rel=0.1)
    assert said.error(4.0) < 0.03 < said.error(1.0)
    labels = Said(3 * logits, torch.bernoulli(logits.sigmoid()))
    assert fitted(labels) == pytest.approx(3, rel=0.1)
    assert labels.error(3.0) < labels.error(1.0)


def test_means_are_of_chances_or_of_numbers():
    answers = [torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, 1.0]])]
    classes = averaged(answers, AnswerSpec(2))
    torch.testing.assert_close(classes.exp(), (answers[0].softmax(-1) + answers[1].softmax(-1)) / 2)
    labels = averaged(answers, AnswerSpec(2, exclusive=False))
    torch.testing.assert_close(labels.sigmoid(), (answers[0].sigmoid() + answers[1].sigmoid()) / 2)
    numbers = averaged(answers, AnswerSpec(2, exclusive=False, centred=True))
    torch.testing.assert_close(numbers, torch.tensor([[1.0, 0.0]]))


def test_maps_keep_their_sums_on_other_regions():
    maps = torch.rand(3, 6)
    moved = regridded(maps, ((2, 3),), ((4, 1),))
    assert moved.shape == (3, 4)
    torch.testing.assert_close(moved.sum(1), maps.sum(1))
    assert regridded(maps, (None,), (None,)) is maps
