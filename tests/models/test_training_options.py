"""What changes how any model trains, and not what it computes: freezing, recomputing, looking twice."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from attnpred.errors import UserError
from attnpred.models.views import answered
from tests.models.made import CASES, IMAGE, MODELS, NAMES, TEXT, image_batch, made, make_model


@pytest.mark.parametrize(("name", "modality"), MODELS)
def test_frozen_levels_are_the_lowest(name, modality):
    spec, _ = made(modality)
    model = make_model(name, spec)
    count = min(2, len(model.levels()) - 1)
    model.freeze(count, [])
    fixed = {id(p) for modules in model.levels()[:count] for module in modules for p in module.parameters()}
    assert all(p.requires_grad != (id(p) in fixed) for p in model.parameters())


def test_what_is_frozen_keeps_its_statistics_and_drops_nothing():
    model = make_model("resnet_attention", IMAGE)
    model.freeze(2, ["head"])
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    model(image_batch())
    moved = [not torch.equal(old, norm.running_mean) for old, norm in zip(before, norms, strict=True)]
    below = sum(isinstance(m, nn.BatchNorm2d) for ms in model.levels()[:2] for module in ms for m in module.modules())
    assert not any(moved[:below])
    assert all(moved[below:])
    assert not model.head.weight.requires_grad
    assert model.pool.training


def test_names_freeze_what_they_begin():
    model = make_model("transformer", TEXT)
    model.freeze(0, ["layers.1", "embed.table.weight"])
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert "embed.table.weight" in fixed
    assert all(name.startswith(("layers.1.", "embed.table.")) for name in fixed)
    with pytest.raises(UserError, match=r"model\.frozen: no weight's name begins with layer;"):
        model.freeze(0, ["layer"])
    with pytest.raises(UserError, match=r"model\.frozen_levels=4: the model has 4"):
        model.freeze(4, [])


@pytest.mark.parametrize(("name", "modality"), MODELS)
def test_recomputing_changes_neither_gradients_nor_statistics(name, modality):
    spec, batch = made(modality)
    kept = make_model(name, spec).train()
    again = make_model(name, spec, recompute=True).train()
    again.load_state_dict(kept.state_dict())
    for model in (kept, again):
        torch.manual_seed(1)
        model(batch).answer.square().sum().backward()
    for (name, one), other in zip(kept.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(kept.named_buffers(), again.buffers(), strict=True):
        if "num_batches" not in name:
            torch.testing.assert_close(one, other, msg=name)


def test_recomputing_keeps_less():
    def kept(recompute):
        model = make_model("transformer", TEXT, depth=6, recompute=recompute).train()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            model(made("text")[1])
        return sum(sizes)

    assert kept(True) < kept(False) / 2


@pytest.mark.parametrize("name", ["transformer", "resnet_attention"])
@torch.no_grad()
def test_two_looks_are_the_same_for_an_image_and_its_mirror(name):
    model, batch = make_model(name, IMAGE), image_batch()
    one, other = (
        answered(model, b, mirror=True, need_attention=True) for b in (batch, batch.reading(batch.input.mirrored()))
    )
    torch.testing.assert_close(one.answer, other.answer)
    [(rows, columns)] = one.attention.grids
    flipped = other.attention.importance.view(-1, rows, columns).flip(2).flatten(1)
    torch.testing.assert_close(one.attention.importance, flipped)
    torch.testing.assert_close(one.attention.importance.sum(1), torch.ones(len(batch)))
    single = model(batch).answer
    assert not torch.allclose(one.answer, single)
    torch.testing.assert_close(answered(model, batch, mirror=False).answer, single)


def test_adapters_alone_are_trained_and_come_back(tmp_path):
    pytest.importorskip("peft", reason="peft is not installed")
    spec, batch = made("text")
    model = make_model("bert", spec, lora_rank=2)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.startswith(("pool", "head")) for name in trained)
    assert sum("lora_A" in name for name in trained) == 2 * 6  # layers x linear maps
    model.save_assets(tmp_path)
    restored = type(model).restore(replace(model.config, source="gone"), model.spec, tmp_path).eval()
    restored.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(restored(batch).answer, model(batch).answer)


def test_adapters_without_their_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(UserError, match=r"model\.lora_rank=2: peft is not installed; pip install -e '\.\[lora\]'"):
        make_model("bert", TEXT, lora_rank=2)


def test_attention_dropout_acts_in_training_alone():
    model = make_model("transformer", TEXT, dropout=0.0, attention_dropout=0.5)
    batch = made("text")[1]
    with torch.no_grad():
        assert torch.equal(model(batch).answer, model(batch).answer)
        model.train()
        assert not torch.equal(model(batch).answer, model(batch).answer)


@pytest.mark.parametrize(("name", "modality", "changes"), CASES, ids=NAMES)
@torch.no_grad()
def test_inference_answers_as_training_left_it(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    before = model(batch, need_attention=True)
    after = model.for_inference()(batch, need_attention=True)
    torch.testing.assert_close(after.answer, before.answer, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.attention.importance, before.attention.importance, rtol=1e-4, atol=1e-5)
