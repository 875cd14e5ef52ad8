"""Runs that help themselves when numbers or memory run out."""

import json
import math

import pytest
import torch

from attnpred.cli import main
from attnpred.config.compose import compose
from attnpred.errors import OutOfMemory
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run
from attnpred.tasks.classification import Classification
from attnpred.training.learner import Learner
from attnpred.training.retries import halved
from tests.died import Died, check_same, dies_at


@pytest.fixture
def quick(tmp_path):
    data = ["data=digits", "data.batch_size=64", f"data.cache_dir={tmp_path / 'cache'}", f"output_dir={tmp_path / 'o'}"]
    often = ["checkpoint.every_steps=3", "trainer.log_every_steps=1", "trainer.max_epochs=2", "logger=none"]
    return ["train", *data, *often, "model.width=8", "model.depth=1", "model.heads=2", "trainer.precision=32-true"]


@pytest.fixture
def the_run(tmp_path):
    def find():
        (file,) = (tmp_path / "o").rglob("run.json")
        return Run(file.parent)

    return find


def spoil(monkeypatch, calls):
    """Losses that are no number, at these calls."""
    real, count = Classification.loss, 0

    def loss(self, output, batch):
        nonlocal count
        count += 1
        return real(self, output, batch) * (math.nan if count in calls else 1.0)

    monkeypatch.setattr(Classification, "loss", loss)
    monkeypatch.setattr("attnpred.training.memory.estimate", lambda *_: None)  # which asks for the loss, too


def rates(run):
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["lr"] for line in lines if "lr" in line}


def test_a_divergence_goes_back_and_on_at_half_the_rate(quick, the_run, monkeypatch, capsys):
    flat = ["optimizer.schedule=constant", "optimizer.warmup=0", "optimizer.lr=0.01"]
    spoil(monkeypatch, {8, 14})
    assert main([*quick, *flat, "trainer.on_nan=rewind"]) == 0
    run = the_run()
    turns = run.description()["turns"]
    assert [(turn["turn"], turn["step"]) for turn in turns] == [("rewind", 8), ("rewind", 12)]
    # saved at 6 and at 9: what came after is forgotten
    found = rates(run)
    assert [found[step] for step in (6, 7, 9, 10)] == pytest.approx([0.01, 0.005, 0.005, 0.0025])
    assert json.loads((run.path / "metrics.json").read_text())["turns"] == turns
    assert "the loss became nan at step 8" in capsys.readouterr().err


def test_what_recurs_before_a_save_goes_on_slower_still(quick, the_run, monkeypatch):
    flat = ["optimizer.schedule=constant", "optimizer.warmup=0", "optimizer.lr=0.01"]
    spoil(monkeypatch, {2, 4})  # the second step, twice, with nothing saved yet
    assert main([*quick, *flat, "trainer.on_nan=rewind"]) == 0
    found = rates(the_run())
    assert [found[step] for step in (1, 2, 4)] == pytest.approx([0.0025] * 3)


def test_a_run_killed_after_a_turn_goes_on_with_it(quick, the_run, monkeypatch):
    flat = ["optimizer.schedule=constant", "optimizer.warmup=0", "optimizer.lr=0.01", "trainer.on_nan=rewind"]
    spoil(monkeypatch, {8})
    with monkeypatch.context() as patched:
        dies_at(patched, Learner, "training_step", 10)  # behind the step that it went back to, before a save
        with pytest.raises(Died):
            main([*quick, *flat])
    assert main(["resume", str(the_run().path)]) == 0
    found = rates(the_run())
    assert [found[step] for step in (6, 7, 12)] == pytest.approx([0.01, 0.005, 0.005])


@pytest.mark.slow
def test_a_run_killed_after_it_took_smaller_batches_goes_on_with_them(quick, the_run, tmp_path, monkeypatch):
    out_of_memory(monkeypatch, above=32)
    helped = [*quick, "trainer.on_oom=halve", "resume=auto"]
    assert main([*helped, f"output_dir={tmp_path / 'whole'}"]) == 0
    (file,) = (tmp_path / "whole").rglob("run.json")
    for call in (7, 4):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, "training_step", call)
            with pytest.raises(Died):
                main(helped)
    # the same command finds it, although its config is another by now
    assert main(helped) == 0
    assert [turn["batch_size"] for turn in the_run().description()["turns"]] == [32]
    check_same(the_run(), Run(file.parent))


def test_it_does_not_go_back_for_ever(quick, the_run, monkeypatch, capsys):
    spoil(monkeypatch, set(range(5, 1000)))
    assert main([*quick, "trainer.on_nan=rewind"]) == 2
    assert len(the_run().description()["turns"]) == 3
    assert the_run().description()["status"] == "failed"


def test_without_being_asked_it_stops(quick, the_run, monkeypatch, capsys):
    spoil(monkeypatch, {8})
    assert main(quick) == 2
    assert "trainer.on_nan=rewind goes back" in capsys.readouterr().err
    assert "turns" not in the_run().description()


def out_of_memory(monkeypatch, above):
    """No batch of more examples fits."""
    real = Learner.training_step

    def step(self, batch, batch_idx):
        loss = real(self, batch, batch_idx)
        if len(batch) > above and self.trainer.global_step >= 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return loss

    monkeypatch.setattr(Learner, "training_step", step)


def test_halved_batches_make_the_same_steps(quick, the_run, monkeypatch, capsys):
    out_of_memory(monkeypatch, above=32)
    assert main([*quick, "trainer.on_oom=halve"]) == 0
    run = the_run()
    assert [turn["batch_size"] for turn in run.description()["turns"]] == [32]
    config = run.config()
    assert (config.data.batch_size, config.trainer.accumulate) == (32, 2)
    assert "out of memory at step 5, with a batch of 64 images of 8x8 pixels; on with batches of 32" in (
        capsys.readouterr().err
    )
    state = checkpoint_files.load(run.checkpoints / "last.ckpt")
    # 19 batches of 64 in an epoch, or 39 of 32, which make 20 steps
    assert state["global_step"] == 19 + 20 or state["global_step"] == 20 + 20
    steps = list(rates(run))
    assert steps == sorted(set(steps))
    validated = [json.loads(x) for x in (run.path / "metrics.jsonl").read_text().splitlines() if "val/accuracy" in x]
    assert [line["epoch"] for line in validated] == [1, 2]


def test_without_being_asked_it_says_what_to_change(quick, the_run, monkeypatch, capsys):
    out_of_memory(monkeypatch, above=32)
    assert main(quick) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(
        "error: out of memory at step 5, with a batch of 64 images of 8x8 pixels; lower data.batch"
    )
    assert "trainer.on_oom=halve" in message


def test_what_does_not_fit_in_evaluation_is_told_apart(quick, monkeypatch, capsys):
    real = Learner.validation_step

    def step(self, batch, batch_idx):
        real(self, batch, batch_idx)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Learner, "validation_step", step)
    assert main(quick) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "out of memory in evaluation at step 19, with a batch of" in message
    assert "lower data.eval_batch_size" in message


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    learner = Learner.__new__(Learner)
    with pytest.raises(RuntimeError, match="shapes"), Learner.in_memory(learner):
        raise RuntimeError("shapes do not fit")
    assert not issubclass(RuntimeError, OutOfMemory)


def test_what_cannot_be_halved():
    assert halved(compose(["data.batch_size=1"])) is None
    assert halved(compose(["data.batch_size=3"])) is None
    smaller = halved(compose(["model=transformer", "data=sst2", "data.batch_size=8", "data.token_budget=1000"]))
    assert (smaller.data.batch_size, smaller.data.token_budget, smaller.trainer.accumulate) == (4, 500, 2)
    assert smaller.trainer.validate_every_steps is None
    assert halved(compose(["trainer.validate_every_steps=5"])).trainer.validate_every_steps == 10
