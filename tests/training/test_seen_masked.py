"""Training examples shown with parts removed: how many, which, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch

from attnpred import cli
from attnpred.explain.base import own_parts
from attnpred.training.seen_masked import SeenMasked
from tests.died import result, the_run, train
from tests.models.made import MASK, PAIR, made, make_model, pair_batch
from tests.training.test_resume import weights

KINDS = [("transformer", "text"), ("transformer", "pair"), ("resnet_attention", "image"), ("tcn", "series")]


def many(modality, count=400):
    spec, batch = made(modality)
    batch = batch.rows(torch.arange(len(batch)).repeat(count // len(batch)))
    return spec, replace(batch, ids=torch.arange(len(batch)))


def model_for(name, modality, spec):
    if modality != "pair":
        return make_model(name, spec)
    from attnpred.contracts import AnswerSpec, ModelSpec

    return make_model(name, ModelSpec({"text": spec}, AnswerSpec(2)))


@pytest.mark.parametrize(("name", "modality"), KINDS)
def test_a_share_of_the_examples_lacks_a_share_of_its_parts(name, modality):
    spec, batch = many(modality)
    model = model_for(name, modality, spec).train()
    torch.manual_seed(0)
    shown = SeenMasked(model, 0.5)(batch)
    assert model.training
    assert torch.equal(shown.ids, batch.ids)
    tensor = {"image": "pixels", "series": "values"}.get(modality, "tokens")
    before, after = (getattr(b.input, tensor).float().flatten(1) for b in (batch, shown))
    changed = (before != after).float().mean(1)
    # a share that is drawn evenly: of a short text often none is hit
    assert 0.3 < (changed > 0).float().mean() < 0.5
    own = own_parts(batch) if tensor == "tokens" else None
    if own is not None:
        assert torch.equal(shown.input.tokens[~own], batch.input.tokens[~own])
        assert ((shown.input.tokens == MASK) | (shown.input.tokens == batch.input.tokens)).all()
        counts = own.sum(1).float()
        shares = (changed * own.shape[1] / counts)[(counts > 5) & (changed > 0)]
        assert 0.35 < shares.mean() < 0.7
        assert shares.std() > 0.2


def test_without_it_nothing_is_drawn_and_all_of_it_is_drawn_anew():
    spec, batch = many("text")
    model = make_model("transformer", spec)
    torch.manual_seed(0)
    assert SeenMasked(model, 0.0)(batch) is batch
    state = torch.random.get_rng_state()
    masked = SeenMasked(model, 1.0)
    first, second = masked(batch), masked(batch)
    assert not torch.equal(first.input.tokens, second.input.tokens)
    torch.random.set_rng_state(state)
    assert torch.equal(masked(batch).input.tokens, first.input.tokens)


def test_evidence_is_asked_for_in_whole_examples_only():
    batch = pair_batch()
    evidence = batch.input.own()
    marked = batch.reading(replace(batch.input, evidence=evidence))
    model = model_for("transformer", "pair", PAIR)
    shown = SeenMasked(model, 0.5)(marked)
    hidden = (shown.input.tokens != batch.input.tokens).any(1)
    assert torch.equal(shown.input.evidence, evidence & ~hidden[:, None])


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    data = ["data=digits", "data.batch_size=64", f"data.cache_dir={cache}", "trainer.limit_batches=4"]
    return [*data, "model.width=8", "model.depth=1", "trainer.max_epochs=1", "logger=none", "trainer=cpu"]


def test_it_is_learned_from_and_measured_without(overrides, tmp_path):
    plain = train(tmp_path / "plain", overrides)
    half = train(tmp_path / "half", [*overrides, "task.seen_masked=0.5"])
    assert (half.path / "metrics.json").is_file()
    one, other = (weights(run)["state_dict"] for run in (plain, half))
    assert any(not torch.equal(one[key], other[key]) for key in one)
    # what is tested is whole: the same weights give the same numbers, however they were trained
    assert cli.main(["evaluate", str(half.path), "--split", "test"]) == 0


@pytest.mark.long
def test_several_processes_each_draw_their_own(overrides, tmp_path):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0"]
    run = train(tmp_path / "two", [*overrides, *two, "task.seen_masked=0.5"])
    assert the_run(tmp_path / "two").path == run.path
    assert result(run)["test"]["accuracy"] >= 0


def test_a_model_held_in_parts_is_refused(overrides, capsys):
    wrong = ["task.seen_masked=0.5", "trainer.strategy=fsdp", "trainer.accelerator=gpu"]
    assert cli.main(["train", *[o for o in overrides if o != "trainer=cpu"], *wrong]) == 2
    assert "task.seen_masked=0.5" in capsys.readouterr().err
