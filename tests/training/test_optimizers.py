"""Which weights decay, at which rate each level moves, and what Muon does."""

import copy

import pytest
import torch

from attnpred.config import compose
from attnpred.training import optimizers
from tests.models.made import IMAGE, TEXT, image_batch, make_model, text_batch


def options(**values):
    return compose.compose([f"optimizer.{key}={value}" for key, value in values.items()]).optimizer


def named(model, optimizer):
    """Each trained parameter's group, by name."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: groups[id(p)] for name, p in model.named_parameters() if id(p) in groups}


@pytest.mark.parametrize("name", ["transformer", "bert"])
def test_norms_biases_and_embeddings_are_not_decayed(name):
    model = make_model(name, TEXT)
    groups = named(model, optimizers.make(model, options(weight_decay=0.3), fused=False))
    assert len(groups) == len(list(model.parameters()))
    decayed = {name for name, group in groups.items() if group["weight_decay"]}
    assert decayed
    assert not [n for n in decayed if "norm" in n.lower() or "bias" in n or "embed" in n]
    assert {n for n in groups if n.endswith(("qkv.weight", "query.weight", "head.weight"))} <= decayed


@pytest.mark.parametrize(("name", "spec"), [("transformer", TEXT), ("resnet_attention", IMAGE), ("bert", TEXT)])
def test_each_lower_level_moves_more_slowly(name, spec):
    model = make_model(name, spec)
    groups = named(model, optimizers.make(model, options(lr=1.0, layer_decay=0.5), fused=False))
    depth = len(model.levels())
    assert depth == {"transformer": 4, "resnet_attention": 6, "bert": 4}[name]
    assert groups["head.weight"]["lr"] == 1.0
    for level, modules in enumerate(model.levels()):
        owned = {id(p) for module in modules for p in module.parameters()}
        rates = {groups[n]["lr"] for n, p in model.named_parameters() if id(p) in owned}
        assert rates == {0.5 ** (depth - 1 - level)} or not owned


def test_what_is_in_no_level_moves_as_the_input_does():
    model = make_model("transformer", TEXT, pooling="cls")
    groups = named(model, optimizers.make(model, options(lr=1.0, layer_decay=0.5), fused=False))
    assert groups["cls"]["lr"] == groups["embed.table.weight"]["lr"] == 0.5**3


@pytest.mark.parametrize(("lr", "predicted"), [(1e-5, 5e-3), (0.1, 0.1)])
def test_what_predicts_attention_moves_even_where_a_model_is_only_fine_tuned(lr, predicted):
    model = make_model("transformer", TEXT, attention_loss="faithful")
    rates = {
        name: group["lr"] for name, group in named(model, optimizers.make(model, options(lr=lr), fused=False)).items()
    }
    assert {rate for name, rate in rates.items() if name.startswith("predicted.")} == {predicted}
    assert {rate for name, rate in rates.items() if not name.startswith("predicted.")} == {lr}


def test_muon_moves_hidden_matrices_by_steps_of_equal_singular_values():
    model = make_model("resnet_attention", IMAGE)
    optimizer = optimizers.make(model, options(name="muon", lr=0.1, weight_decay=0.0, momentum=0.9), fused=False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(image_batch()).answer.square().sum().backward()
    optimizer.step()
    kernel = model.get_parameter("blocks.0.first.weight")
    change = (kernel.detach() - before["blocks.0.first.weight"]).flatten(1)
    values = torch.linalg.svdvals(change)
    assert values.min() > 0.4 * values.max()
    assert values.mean() == pytest.approx(0.1 * 0.2 * max(change.shape) ** 0.5, rel=0.4)
    # AdamW's first step is the rate wherever there is a gradient
    head = (model.head.weight.detach() - before["head.weight"]).abs()
    torch.testing.assert_close(head, torch.full_like(head, 0.1), rtol=1e-3, atol=0)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_muon_goes_on_from_its_state():
    def steps(count, model, optimizer):
        for seed in range(count):
            optimizer.zero_grad()
            model(text_batch(seed=seed)).answer.square().sum().backward()
            optimizer.step()

    chosen = options(name="muon", lr=0.01)
    first = make_model("transformer", TEXT)
    optimizer = optimizers.make(first, chosen, fused=False)
    steps(2, first, optimizer)
    second = make_model("transformer", TEXT)
    second.load_state_dict(first.state_dict())
    resumed = optimizers.make(second, chosen, fused=False)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in resumed.param_groups:
        group["lr"] = 0.02
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    steps(2, first, optimizer)
    steps(2, second, resumed)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_optimizer_holds_what_is_frozen():
    model = make_model("transformer", TEXT)
    model.freeze(2, [])
    groups = named(model, optimizers.make(model, options(name="muon"), fused=False))
    assert not [name for name in groups if name.startswith(("embed", "layers.0"))]
    assert [name for name in groups if name.startswith("layers.1")]


def test_muon_without_a_hidden_matrix_is_adamw():
    model = make_model("transformer", TEXT)
    model.freeze(3, [])
    assert isinstance(optimizers.make(model, options(name="muon"), fused=False), torch.optim.AdamW)


def test_the_rate_that_was_reached_comes_back_with_the_state():
    model = make_model("resnet_attention", IMAGE)
    chosen = options(name="muon", lr=0.01)
    first, second = (optimizers.make(model, chosen, fused=False) for _ in range(2))
    for group in first.param_groups:
        group["lr"] = 0.003
    first.step()
    second.load_state_dict(first.state_dict())
    assert {group["lr"] for group in second.param_groups} == {0.003}
