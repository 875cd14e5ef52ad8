"""A run that is pruned and trained on: what leaves first, to which target, and what comes of it."""

import json
from pathlib import Path

import pytest
import torch

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.models import slimming
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run
from attnpred.training import slim
from attnpred.training.learner import Learner
from tests.died import Died, check_same, dies_at, the_run
from tests.models.made import CLASSES, TEXT, make_model, make_task, text_batch


@pytest.fixture(scope="module")
def model():
    return make_model("transformer", TEXT, positions="learned")


@pytest.fixture(scope="module")
def felt(model):
    return slim.sensitivity(model, make_task(CLASSES["text"]), [text_batch(), text_batch(seed=1)])


def test_what_nobody_reads_is_not_felt(model):
    group = next(group for group in slimming.groups(model) if group.name == "layers.0.units")
    other = make_model("transformer", TEXT, positions="learned")
    reader = next(one for one in slimming.groups(other) if one.name == group.name).reader
    with torch.no_grad():
        reader.weight[:, 3] = 0.0
    found = slim.sensitivity(other, make_task(CLASSES["text"]), [text_batch()])
    assert found[group.name][3] == 0
    assert (found[group.name] > 0).sum() == group.count - 1
    assert sum(float(one.sum()) for one in found.values()) == pytest.approx(1)


@pytest.mark.parametrize("share", [0.8, 0.5])
def test_so_many_weights_are_left_and_the_least_felt_leave(model, felt, share):
    left = slim.to_parameters(model, felt, share)
    other = make_model("transformer", TEXT, positions="learned")
    slimming.shrink(other, {name: slimming.digits_of(places) for name, places in left.items()})
    now = slim.countable(other) / slim.countable(model)
    assert share - 0.06 < now <= share
    for name, places in left.items():
        gone = [place for place in range(len(felt[name])) if place not in places]
        assert felt[name][gone].max() <= felt[name][places].max()


def test_a_model_without_units_is_told_what_can_be_pruned():
    recurrent = make_model("recurrent", TEXT)
    with pytest.raises(UserError, match="nothing of it can be pruned but single weights; take --unstructured"):
        slim.sensitivity(recurrent, make_task(CLASSES["text"]), [text_batch()])


def test_a_target_that_cannot_be_had_is_told(model, felt):
    with pytest.raises(UserError, match="of the weights at least"):
        slim.to_parameters(model, felt, 0.01)


def test_a_slim_run_is_slimmed_again(model):
    counts = {"a": 8}
    first = slim.beyond({}, {"a": [0, 2, 5, 7]}, counts)
    second = slim.beyond(first, {"a": [1, 3]}, {"a": 4})
    assert slimming.units_of(second["a"], 8, "a").tolist() == [2, 7]


SMALL = ["model.width=16", "model.depth=1", "model.heads=2", "data.max_length=24"]
QUICK = ["trainer.max_steps=4", "trainer.precision=32-true", "trainer.limit_batches=2", "logger=none"]
SAVED = ["checkpoint.every_steps=1", "checkpoint.every_minutes=null"]


def newest(directory: Path) -> Path:
    return max(directory.rglob("run.json"), key=lambda file: file.stat().st_mtime).parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    place = [f"output_dir={directory}", f"data.cache_dir={directory / 'cache'}"]
    assert main(["train", "model=transformer", "data=evidence_text", *place, *SMALL, *QUICK, *SAVED]) == 0
    return newest(directory)


def test_a_slim_run_is_a_run_like_any_other(whole, tmp_path, capsys):
    few = ["--examples", "16", "--out", str(tmp_path)]
    assert main(["slim", str(whole), "--parameters", "0.6", *few]) == 0
    made = newest(tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == str(made)
    one, other = (Run.find(str(path)).load_model() for path in (whole, made))
    assert slim.countable(other) <= 0.6 * slim.countable(one)
    assert json.loads((made / "run.json").read_text())["status"] == "done"
    assert main(["predict", str(made), "a b c"]) == 0
    assert main(["slim", str(made), "--parameters", "0.8", *few]) == 0
    third = Run.find(str(newest(tmp_path))).load_model()
    assert slim.countable(third) <= 0.8 * slim.countable(other)


@pytest.mark.slow
@pytest.mark.parametrize("way", [("--parameters", "0.6"), ("--unstructured", "0.5")])
def test_its_training_goes_on_to_the_last_bit(way, whole, tmp_path, monkeypatch):
    slim = ["slim", str(whole), *way, "--examples", "16", "trainer.limit_batches=4"]
    assert main([*slim, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patched:
        dies_at(patched, Learner, "training_step", 3)
        with pytest.raises(Died):
            main([*slim, "--out", str(tmp_path / "died")])
    died = the_run(tmp_path / "died")
    assert main(["resume", str(died.path)]) == 0
    check_same(died, the_run(tmp_path / "whole"))


def test_a_share_of_the_time_is_sought_by_timing(whole, tmp_path, monkeypatch):
    """Time is what a made clock says: as many seconds as a model has weights."""
    monkeypatch.setattr(slim, "latency", lambda one, other, batch: slim.countable(one) / slim.countable(other))
    assert main(["slim", str(whole), "--latency", "0.7", "--examples", "16", "--out", str(tmp_path)]) == 0
    one, other = (Run.find(str(path)).load_model() for path in (whole, newest(tmp_path)))
    assert 0.5 < slim.countable(other) / slim.countable(one) <= 0.7


def test_a_sparse_run_keeps_its_zeros(whole, tmp_path):
    assert main(["slim", str(whole), "--unstructured", "0.5", "--out", str(tmp_path)]) == 0
    state = checkpoint_files.load(newest(tmp_path) / "checkpoints" / "best.ckpt")["state_dict"]
    weight = state["model.layers.0.grow.weight"]
    assert (weight == 0).float().mean() == pytest.approx(0.5, abs=0.01)


def test_mistakes_are_told_in_a_line(tmp_path, capsys):
    runs = Path(__file__).parents[1] / "runs_made_before" / "text_transformer"
    assert main(["slim", str(runs), "--parameters", "1.5"]) == 2
    assert "must lie between 0 and 1" in capsys.readouterr().err
    assert main(["slim", str(runs)]) == 2
    assert main(["slim", str(runs), "--parameters", "0.5", "model.width=3"]) == 2
    assert "cannot be changed for a trained run" in capsys.readouterr().err
