"""What the options of training do in a whole run."""

import json
import math
from pathlib import Path

import pytest
import torch

from attnpred.cli import main
from attnpred.runs.run import Run
from tests.runs.test_records import QUICK, cache, lines, train  # noqa: F401  fixtures


def weights(run: Path, file: str = "last.ckpt") -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / file, weights_only=True)["state_dict"]


@pytest.mark.long
def test_overfitting_learns_a_few_batches_by_heart(train):  # noqa: F811
    run = train("debug=overfit", "trainer.max_epochs=30", "trainer.limit_batches=null", "model.width=16")
    measured = [line for line in lines(run) if "val/loss" in line]
    assert measured[-1]["val/accuracy"] == 1.0
    assert measured[-1]["step"] == 60
    assert json.loads((run / "metrics.json").read_text())["val"]["final"]["loss"] < measured[0]["val/loss"] / 2


def test_a_run_begins_from_the_weights_of_another(train, capsys):  # noqa: F811
    first = train()
    given = weights(first, "best.ckpt")
    still = ["optimizer.lr=1e-12", "optimizer.weight_decay=0", "seed=5"]
    same = weights(train(f"model.init_from={first}", *still))
    torch.testing.assert_close(same["model.stem.conv.weight"], given["model.stem.conv.weight"])
    torch.testing.assert_close(same["model.head.bias"], given["model.head.bias"])
    deeper = weights(train(f"model.init_from={first}", "model.depth=2", *still))
    torch.testing.assert_close(deeper["model.stem.conv.weight"], given["model.stem.conv.weight"])
    assert len(deeper) > len(given)


def test_what_cannot_be_begun_from_is_refused(train, tmp_path, capsys):  # noqa: F811
    first = train()
    assert main(["train", "model=transformer", f"model.init_from={first}", f"output_dir={tmp_path / 'no'}"]) == 2
    assert f"model.init_from={first}: holds the weights of a resnet_attention" in capsys.readouterr().err
    assert main(["train", "model.init_from=nowhere", f"output_dir={tmp_path / 'no'}"]) == 2
    assert "nowhere: no such directory" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_the_averaged_weights_are_those_of_the_run(train):  # noqa: F811
    run = train("optimizer.ema=0.9")
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["state_dict"].keys() == state["trained_weights"].keys()
    assert not torch.equal(state["state_dict"]["model.head.weight"], state["trained_weights"]["model.head.weight"])
    model = Run(run).load_model()
    best = weights(run, "best.ckpt")
    assert all(torch.equal(value, best[f"model.{name}"]) for name, value in model.state_dict().items())


def test_attention_that_is_predicted_costs_the_answer_nothing(train):  # noqa: F811
    plain, told = (
        weights(train("trainer.clip_norm=null", *extra)) for extra in ([], ["model.attention_loss=faithful"])
    )
    assert told.keys() > plain.keys()
    assert all(name.startswith("model.predicted.") for name in told.keys() - plain.keys())
    assert told["model.predicted.tell.weight"].any()
    assert all(torch.equal(value, told[name]) for name, value in plain.items())


@pytest.mark.long
def test_a_profile_lies_in_the_run_directory(train):  # noqa: F811
    run = train("debug=profile", "trainer.max_steps=20", "trainer.limit_batches=20")
    assert "aten::" in (run / "profile" / "operations.txt").read_text()
    assert json.loads((run / "profile" / "trace.json").read_text())["traceEvents"]


def test_compiling_leaves_no_trace_in_a_checkpoint(train, monkeypatch):  # noqa: F811
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    state = weights(train("trainer.compile=true"))
    assert compiled == ["ResnetAttention"]
    assert state.keys() == weights(train()).keys()


@pytest.mark.parametrize("schedule", ["wsd", "onecycle"])
def test_every_optimizer_and_schedule_trains(train, schedule):  # noqa: F811
    run = train("optimizer=muon", f"optimizer.schedule={schedule}", "task.label_smoothing=0.1", "data.test_flip=true")
    logged = [line for line in lines(run) if "train/loss" in line]
    assert all(math.isfinite(line["train/loss"]) for line in logged)
    assert len(logged) > 1


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, cache, capsys):  # noqa: F811
    place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={cache}", *QUICK]
    wild = ["optimizer.lr=1e18", "trainer.clip_norm=null", "trainer.log_every_steps=1", "optimizer.warmup=0"]
    assert main(["train", *place, *wild]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert " at step " in error[0]
    (run,) = (tmp_path / "outputs").glob("*/*")
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
