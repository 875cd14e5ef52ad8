"""Losses of attention: what they say of given shares, and that training by them does what they ask for."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.attention_loss import attention_loss, decided_by
from attnpred.contracts import Attention
from attnpred.models.predicted import SHARPNESS
from tests.explain.made import Mixer, texts
from tests.models.made import LENGTH, TEXT, made, make_model, text_batch

BATCH = texts([2, 3, 4, 5], [6, 2])
SHARES = Attention(torch.tensor([[0.25] * 4, [1.0, 0, 0, 0]]))


def test_entropy_is_one_for_equal_shares_and_none_for_a_single_part():
    assert attention_loss("entropy", Mixer(4), BATCH, SHARES).item() == pytest.approx(0.5, abs=1e-4)


def test_supervised_asks_for_what_falls_on_evidence():
    evidence = torch.tensor([[True, True, False, False], [False, True, False, False]])
    batch = replace(BATCH, evidence=evidence)
    found = attention_loss("supervised", Mixer(4), batch, SHARES).item()
    assert found == pytest.approx((-math.log(0.5) - math.log(1e-6)) / 2, rel=1e-4)
    first_alone = replace(BATCH, evidence=evidence & torch.tensor([[True], [False]]))
    assert attention_loss("supervised", Mixer(4), first_alone, SHARES).item() == pytest.approx(-math.log(0.5))
    assert attention_loss("supervised", Mixer(4), BATCH, SHARES).item() == 0


def test_the_signal_of_a_linear_model_is_each_parts_contribution():
    model = Mixer(4, seed=1).eval()
    target = model(BATCH).logits.argmax(1)
    found = decided_by(model, BATCH, target, None)
    read, layers = model.weights(BATCH)
    flow = (read[:, None] @ layers[1].mean(1) @ layers[0].mean(1))[:, 0]  # (batch, parts)
    features = model.table.weight[BATCH.tokens] - model.table.weight[1]
    # of two classes, the slope of the logarithm goes along the difference of their numbers at every point
    difference = features.gather(2, target[:, None, None].expand(-1, 4, 1)) - features.gather(
        2, 1 - target[:, None, None].expand(-1, 4, 1)
    )
    contribution = flow * difference[..., 0] * BATCH.own()
    torch.testing.assert_close(found, contribution / contribution.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_faithful_asks_for_the_order_of_the_signal_in_every_eighth_example():
    model, batch = Mixer(4, seed=1).eval(), texts([2, 3, 4, 5], [6, 2], *[[2, 3]] * 7)
    asked = batch.rows(torch.tensor([0, 8]))
    signal, own = decided_by(model, asked, model(asked).logits.argmax(1), None), asked.own()
    share = model(asked, need_attention=True).attention.importance
    expected = 0.0
    for row in range(2):  # logarithms of shares have no level: each example's may be moved as one likes
        apart = (share[row].log() - SHARPNESS * signal[row])[own[row]]
        expected += (apart - apart.mean()).square().sum().item() / 2
    assert expected > 0.1
    assert attention_loss("faithful", model, batch, None).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "modality"), [("transformer", "text"), ("resnet_attention", "image")])
def test_looking_leaves_the_model_as_it_was(name, modality):
    spec, batch = made(modality)
    model = make_model(name, spec, attention_loss="faithful").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    attention_loss("faithful", model, batch, None).backward()
    assert torch.equal(torch.get_rng_state(), drawn)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None} == {"predicted"}
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["entropy", "faithful"])
def test_training_lowers_it(kind):
    torch.manual_seed(0)
    model, batch = make_model("transformer", TEXT, dropout=0.0, attention_loss=kind), text_batch((LENGTH, 8, 9, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def both():
        output = model(batch, need_attention=True, need_layers=False)
        return cross_entropy(output.logits, batch.labels), attention_loss(kind, model, batch, output.attention)

    with torch.no_grad():
        model.pool.query.normal_(std=0.5)
    before = sum(both()[1].item() for _ in range(20))
    for _ in range(60):
        optimizer.zero_grad()
        sum(both()).backward()
        optimizer.step()
    after, right = sum(both()[1].item() for _ in range(20)), both()[0]
    assert after < 0.7 * before
    assert right < 0.3
