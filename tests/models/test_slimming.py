"""Units leave a model: what is left answers as the whole model does where nothing of those units is read."""

import copy

import pytest
import torch

from attnpred.errors import UserError
from attnpred.models import slimming
from tests.models.made import made, make_model

CASES = [
    ("transformer", "text", {"positions": "rotary"}),
    ("transformer", "image", {"pooling": "cls"}),
    ("transformer", "series", {}),
    ("bert", "text", {"pooling": "mean"}),
    ("resnet_attention", "image", {"attention": "cbam"}),
    ("resnet_attention", "image", {"attention": "self", "block": "plain", "depth": 2}),
]


@pytest.mark.parametrize(("name", "modality", "options"), CASES, ids=lambda value: str(value))
def test_a_slim_model_is_the_whole_one_without_what_nobody_reads(name, modality, options):
    spec, batch = made(modality)
    model = make_model(name, spec, **options)
    slim = copy.deepcopy(model)
    random = torch.Generator().manual_seed(0)
    kept = {}
    for group in slimming.groups(model):
        units = torch.randperm(group.count, generator=random)[: max(group.count // 2, 1)].sort().values.tolist()
        kept[group.name] = slimming.digits_of(units)
        gone = [place for place in range(group.count * group.size) if place // group.size not in units]
        with torch.no_grad():
            group.reader.weight[:, gone] = 0.0
    assert kept
    slimming.shrink(slim, kept)
    with torch.no_grad():
        one, other = model(batch, need_attention=True), slim(batch, need_attention=True)
    torch.testing.assert_close(one.answer, other.answer)
    if options.get("pooling") is None and options.get("attention") != "self":  # else a mean over the heads left
        torch.testing.assert_close(one.attention.importance, other.attention.importance)
    assert {group.name: group.count for group in slimming.groups(slim)} == {
        group.name: max(group.count // 2, 1) for group in slimming.groups(model)
    }
    lost = sum((group.count - max(group.count // 2, 1)) * group.cost for group in slimming.groups(model))
    assert sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in slim.parameters()) == lost


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ({"layers.0.units": "xyz"}, "no hexadecimal number"),
        ({"layers.0.units": "0"}, "leaves none"),
        ({"layers.0.units": "1" + 32 * "0"}, "leaves none or others"),
        ({"layers.7.units": "1"}, "nothing that can be pruned here"),
    ],
)
def test_what_cannot_be_left_is_told(kept, why):
    with pytest.raises(UserError, match=why):
        slimming.shrink(make_model("transformer", made("text")[0]), kept)


def test_what_a_slim_model_loses_further_is_found_among_what_it_has():
    before = {"a": slimming.digits_of([1, 3, 4])}
    assert slimming.within({"a": slimming.digits_of([1, 4])}, before, {"a": 6}) == {"a": slimming.digits_of([0, 2])}
    with pytest.raises(UserError, match="has lost"):
        slimming.within({"a": slimming.digits_of([1, 2])}, before, {"a": 6})


def test_smallest_weights_become_0_and_stay_there():
    model = make_model("transformer", made("text")[0]).train()
    slimming.sparsify(model, 0.5)
    linear = model.layers[0].grow
    zeros = linear.weight == 0
    assert zeros.float().mean() == pytest.approx(0.5, abs=0.01)
    assert linear.weight[~zeros].abs().min() >= 0
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(made("text")[1]).answer.square().sum().backward()
        optimizer.step()
    assert (linear.weight[zeros] == 0).all()
    assert (linear.weight[~zeros] != 0).any()
