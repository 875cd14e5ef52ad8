"""The memory that a run is said to take, held against what is really allocated: in bytes, tensor by tensor."""

import json
import random
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from attnpred.cli import main
from attnpred.config.compose import compose
from attnpred.errors import OutOfMemory
from attnpred.machine.device import choose
from attnpred.models import size
from attnpred.runs.run import Run
from attnpred.training import memory
from attnpred.training.learner import Learner
from attnpred.training.live import Live
from tests.models.made import CLASSES, image_batch, make_model, make_task, text_batch

LONG = text_batch((90, 80, 64, 30, 90, 90, 12, 50))
MANY = image_batch(8)
MIB = 2**20


def made(name, batch, *overrides, **changes):
    """A config, the device, and a learner of a small model for the batch."""
    from tests.models.made import IMAGE, TEXT

    modality = next(iter(batch.inputs))
    spec = IMAGE if modality == "image" else replace(TEXT, max_length=96)
    config = compose(["trainer=cpu", "trainer.precision=32-true", *overrides])
    model = make_model(name, spec, **changes)
    learner = Learner(model, make_task(CLASSES[modality]), config.optimizer).train()
    return config, choose(config.trainer), learner


def really(config, chosen, learner, batch):
    return max(memory._lived(config, chosen, learner, batch, batch))


CASES = {
    "residual": ("resnet_attention", MANY, (), {}),
    "patches": ("transformer", MANY, ("optimizer=adamw",), {"patch": 4}),
    "texts": ("transformer", LONG, ("optimizer=adamw", "optimizer.ema=0.9"), {}),
    "texts in bf16": ("transformer", LONG, ("trainer.precision=bf16-mixed", "optimizer=muon"), {"dropout": 0.1}),
    "gathered": ("resnet_attention", MANY, ("trainer.accumulate=4", "optimizer=adamw"), {"width": 16}),
    "encoder": ("bert", LONG, ("optimizer=finetune",), {}),
    "made again": ("transformer", LONG, ("optimizer=sgd",), {"recompute": True}),
    "attention's own loss": ("transformer", LONG, ("optimizer=adamw",), {"attention_loss": "entropy"}),
}


@pytest.mark.parametrize("case", CASES)
def test_without_numbers_as_much_is_counted_as_with_them(case):
    name, batch, overrides, changes = CASES[case]
    config, chosen, learner = made(name, batch, *overrides, **changes)
    told = memory.worked(config, chosen, learner, batch, batch)
    assert told == pytest.approx(really(config, chosen, learner, batch), rel=0.05)


@pytest.mark.parametrize("case", ["residual", "texts"])
def test_larger_batches_take_more(case):
    name, batch, overrides, changes = CASES[case]
    config, chosen, learner = made(name, batch, *overrides, **changes)
    few, twice = (batch.rows(torch.arange(count) % len(batch)) for count in (16, 32))
    one, two = (memory.worked(config, chosen, learner, some, some) for some in (few, twice))
    assert 1.3 * one < two < 2 * one


def test_the_optimizers_state_counts():
    taken = {}
    for name in ("sgd", "adamw"):
        config, chosen, learner = made("transformer", MANY, f"optimizer={name}", patch=8, width=128, heads=2)
        weights = sum(p.nbytes for p in learner.parameters())
        taken[name] = memory.worked(config, chosen, learner, image_batch(1), image_batch(1)) / weights
    assert taken["adamw"] - taken["sgd"] >= 1.9  # two numbers a weight in place of one, in memory and as they are read


def test_it_changes_nothing():
    config, chosen, learner = made("transformer", LONG, "optimizer=muon", dropout=0.5)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    dice = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    memory.worked(config, chosen, learner, LONG, LONG)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == dice[:2]
    assert torch.equal(torch.get_rng_state(), dice[2])
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert all(p.grad is None for p in learner.parameters())
    assert learner.steps == []
    assert learner.training


def test_a_model_that_looks_at_numbers_is_shown_a_few_examples():
    config, chosen, learner = made("resnet_attention", MANY)
    real, shown = learner.model.stem if hasattr(learner.model, "stem") else next(learner.model.children()), []

    class Curious(nn.Module):
        def __init__(self, inside):
            super().__init__()
            self.inside = inside

        def forward(self, x):
            found = self.inside(x)
            shown.append((len(x), found.detach().float().mean().numpy()))
            return found

    (name,) = [name for name, module in learner.model.named_children() if module is real]
    setattr(learner.model, name, Curious(real))
    many = image_batch(64)
    told = memory.worked(config, chosen, learner, many, many)
    assert {count for count, _ in shown} == set(memory.SMALL)
    assert told == pytest.approx(really(config, chosen, learner, many), rel=0.1)


def test_what_is_alive_is_counted_once_and_let_go():
    with Live() as live:
        whole = torch.empty(1000)
        part = whole[:10]
        del whole
        other = torch.zeros(500, dtype=torch.float64)
        del part
        torch.ones(1)
    assert max(live.bytes) == 8000
    assert live.bytes[-1] == 4004
    assert other.sum() == 0


@pytest.mark.parametrize(
    ("look", "most"),
    [
        (lambda x: x.unique(return_inverse=True)[0], (12,)),
        (lambda x: x.nonzero(), (12, 2)),
        (lambda x: x[x > 0], (12,)),
        (lambda x: x.masked_select(x > 0), (12,)),
        (lambda x: torch.ones(2) * x.sum().item(), (2,)),
    ],
)
def test_what_depends_on_numbers_is_as_long_as_it_can_be(look, most):
    with FakeTensorMode(allow_non_fake_inputs=True), Live():
        assert look(torch.ones(3, 4)).shape == most


@pytest.fixture
def quick(tmp_path):
    data = ["data=digits", "data.batch_size=64", f"data.cache_dir={tmp_path / 'cache'}", f"output_dir={tmp_path / 'o'}"]
    small = ["model.width=8", "model.depth=1", "model.heads=2", "trainer.precision=32-true", "logger=none"]
    return ["train", *data, *small, "trainer.max_steps=2", "trainer.attention_examples=0"]


def the_run(place):
    (file,) = place.rglob("run.json")
    return Run(file.parent)


def test_a_run_tells_it_and_keeps_it_beside_what_was_taken(quick, tmp_path, capsys):
    assert main(quick) == 0
    run = the_run(tmp_path / "o")
    told = run.description()["memory"]
    assert f"memory: about {told['peak_gib']:.1f} GiB" in capsys.readouterr().err
    result = json.loads((run.path / "metrics.json").read_text())
    assert result["estimated_memory_gib"] == told["peak_gib"]
    assert result["peak_memory_gib"] > 0
    assert told["held_gib"] > 0
    assert told["work_gib"] > 0


def room_for(monkeypatch, batch_size):
    """A machine that has room for batches of so many examples, and no more."""
    real = memory.estimate

    def estimate(config, *rest):
        found = real(config, *rest)
        fits = config.data.batch_size <= batch_size
        monkeypatch.setattr(size, "memory", lambda: 2 * found.needed if fits else found.needed // 2)
        return found

    monkeypatch.setattr(memory, "estimate", estimate)


def test_what_cannot_fit_is_refused_with_the_estimate(quick, monkeypatch, capsys):
    room_for(monkeypatch, 0)
    assert main(quick) == OutOfMemory.exit_code
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "training needs about" in said
    assert "with a batch of 64 images of 8x8 pixels; lower data.batch_size" in said


def test_smaller_batches_are_taken_where_asked(quick, tmp_path, monkeypatch):
    room_for(monkeypatch, 16)
    assert main([*quick, "trainer.on_oom=halve"]) == 0
    run = the_run(tmp_path / "o")
    assert [turn["batch_size"] for turn in run.description()["turns"]] == [32, 16]
    assert run.config().data.batch_size == 16


@pytest.mark.parametrize(("dtype", "entering"), [("float32", 16), ("float32", 64), ("bfloat16", 16)])
def test_what_an_lstm_keeps_for_the_step_back_is_counted(dtype, entering):
    def most(mode):
        with mode:
            layer = nn.LSTM(entering, 32, batch_first=True, dtype=getattr(torch, dtype))
            x = torch.randn(64, 40, entering, dtype=getattr(torch, dtype), requires_grad=True)
            with Live([*layer.parameters(), x]) as live:
                layer(x)[0].sum().backward()
        return max(live.bytes)

    assert most(FakeTensorMode()) == pytest.approx(most(nullcontext()), rel=0.2)
