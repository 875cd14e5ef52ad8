"""Few weights beside those of a network, which stay as they are."""

import copy

import pytest
import torch

from attnpred.errors import UserError
from attnpred.models.rank_budget import RankBudget
from tests.models.made import TEXT, made, make_model

peft = pytest.importorskip("peft", reason="peft is not installed")
KINDS = {
    "lora": {"lora_rank": 2},
    "adalora": {"adapter": "adalora", "adapter_size": 2},
    "ia3": {"adapter": "ia3"},
    "bottleneck": {"adapter": "bottleneck", "adapter_size": 4},
    "prompt": {"adapter": "prompt", "adapter_size": 3},
}
BEGUN = {"bert": {}, "transformer": {"init_from": "somewhere"}}
every = pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in BEGUN for kind in KINDS if (name, kind) != ("transformer", "prompt")]
)


def adapted(name, kind):
    return make_model(name, TEXT, **KINDS[kind], **BEGUN[name])


@every
def test_they_and_the_head_alone_are_trained(name, kind):
    _, batch = made("text")
    model = adapted(name, kind).train()
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    model(batch).answer.square().sum().backward()
    assert all(p.grad is not None for p in trained.values())
    own = [key for key in trained if not key.startswith(("pool", "head"))]
    marks = ("lora_", "ia3_", ".down.", ".up.", ".norm.", "prompt.")
    assert own
    assert all(any(mark in key for mark in marks) for key in own)
    assert sum(p.numel() for p in trained.values()) < sum(p.numel() for p in model.parameters()) / 4


@every
def test_merged_they_answer_as_before(name, kind):
    _, batch = made("text")
    model = adapted(name, kind)
    fast = copy.deepcopy(model).for_inference()
    left = [key for key, _ in fast.named_parameters() if "lora_" in key or "ia3_" in key]
    assert left == []
    with torch.no_grad():
        before, after = model(batch, need_attention=True), fast(batch, need_attention=True)
        torch.testing.assert_close(after.answer, before.answer, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(after.attention.importance, before.attention.importance, atol=1e-5, rtol=1e-5)


def test_a_network_behind_a_layer_begins_by_adding_nothing():
    _, batch = made("text")
    torch.manual_seed(0)
    plain, model = make_model("bert", TEXT), adapted("bert", "bottleneck")
    own = {key: value for key, value in model.state_dict().items() if "base_layer" not in key}
    given = {key.replace(".base_layer", ""): key for key in model.state_dict()}
    model.load_state_dict({**own, **{given[key]: value for key, value in plain.state_dict().items()}})
    for layer in model.encoder.encoder.layer:
        torch.nn.init.zeros_(layer.up.weight)
        torch.nn.init.zeros_(layer.up.bias)
    with torch.no_grad():
        torch.testing.assert_close(model(batch).answer, plain(batch).answer)


def test_vectors_before_a_text_are_no_part_of_it():
    _, batch = made("text")
    attention = adapted("bert", "prompt")(batch, need_attention=True).attention
    length = batch.input.tokens.shape[1]
    assert attention.importance.shape == (len(batch), length)
    assert attention.layers[0].shape[2:] == (length + 3, length + 3)
    assert attention.read.shape == (len(batch), length + 3)


def test_ranks_are_taken_where_they_matter_least():
    model = adapted("bert", "adalora").train()
    budget = model.budget
    assert isinstance(budget, RankBudget)
    _, batch = made("text")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    left = []
    for _ in range(20):
        optimizer.zero_grad()
        model(batch).answer.square().sum().backward()
        optimizer.step()
        model.after_step(20)
        left.append(sum(int((factors["E"] != 0).sum()) for factors in budget._factors()))
    maps = len(budget._factors())
    assert left[0] == 3 * maps  # half more than the mean rank
    assert sorted(left, reverse=True) == left
    assert left[-1] == 2 * maps
    assert len({int((factors["E"] != 0).sum()) for factors in budget._factors()}) > 1  # not alike everywhere


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"model\.lora_rank=2: is for adapters of another kind than adapter=ia3"):
        make_model("bert", TEXT, lora_rank=2, adapter="ia3")
    with pytest.raises(UserError, match=r"model\.adapter=ia3: adapts weights that have learned before"):
        make_model("transformer", TEXT, adapter="ia3")
    with pytest.raises(UserError, match=r"model\.adapter=prompt: is for pretrained encoders"):
        make_model("transformer", TEXT, adapter="prompt", init_from="somewhere")
    spec, _ = made("series")
    with pytest.raises(UserError, match=r"model\.adapter=ia3: is for texts and images"):
        make_model("transformer", spec, adapter="ia3", init_from="somewhere")
