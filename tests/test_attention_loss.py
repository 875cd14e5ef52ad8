"""Losses of attention: what they say of given shares, and that training by them does what they ask for."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.attention_loss import ASKED, SAMPLE, attention_loss, decided_by, spread
from attnpred.contracts import Attention
from attnpred.models.predicted import SHARPNESS
from tests.explain.made import SPEC, Mixer, texts
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


def test_the_signal_is_what_a_part_alone_takes_away_and_brings():
    model = Mixer(4, seed=1).eval()
    target = model(BATCH).logits.argmax(1)
    attention = model(BATCH, need_attention=True).attention
    places = torch.tensor([[0, 1, 3], [1, 2, 0]])
    found = decided_by(model, BATCH, target, places, attention)

    def answer(row, tokens):
        tokens = torch.tensor([tokens])
        return model(replace(BATCH.rows(torch.tensor([row])), tokens=tokens)).logits.softmax(1)[0, target[row]].item()

    mask, whole = SPEC.mask_id, BATCH.tokens.tolist()
    for row, own in enumerate(BATCH.own().tolist()):
        expected = []
        for place in places[row].tolist():
            without = [mask if p == place and own[p] else token for p, token in enumerate(whole[row])]
            only = [mask if p != place and own[p] else token for p, token in enumerate(whole[row])]
            expected.append((answer(row, only) - answer(row, without)) * own[place])
        expected = torch.tensor(expected)
        torch.testing.assert_close(found[row], expected / expected.norm(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("parts", [1, 5, ASKED, 40])
def test_all_parts_are_asked_about_in_the_end(parts):
    batch = replace(BATCH, ids=torch.tensor([0, 7]))
    places = spread(batch, parts)
    assert places.shape == (2, min(parts, ASKED))
    assert all(len(set(row)) == min(parts, ASKED) for row in places.tolist())
    every = [spread(replace(BATCH, ids=torch.tensor([n, n])), parts)[0].tolist() for n in range(parts)]
    assert {place for row in every for place in row} == set(range(parts))


def test_faithful_asks_for_the_order_of_the_signal_in_some_examples():
    model, batch = Mixer(4, seed=1).eval(), texts([2, 3, 4, 5], *[[2, 3]] * (SAMPLE - 1), [6, 2, 3])
    asked = batch.rows(torch.tensor([0, SAMPLE]))
    attention = model(asked, need_attention=True).attention
    places = torch.arange(4).expand(2, -1)
    signal = decided_by(model, asked, model(asked).logits.argmax(1), places, attention)
    expected = 0.0
    for row in range(2):  # logarithms of shares have no level: each example's may be moved as one likes
        apart = (attention.importance[row].log() - SHARPNESS * signal[row])[asked.own()[row]]
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
