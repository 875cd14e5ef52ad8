"""Losses of attention: what they say of given shares, and that training by them does what they ask for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.contracts import Attention
from attnpred.explain.removal import Removing
from attnpred.training.attention_loss import ASKED, SAMPLE, attention_loss, decided_by, half, spread
from tests.explain.made import CLASSES, SPEC, Mixer, texts
from tests.models.made import CLASSES as CLASSES_OF
from tests.models.made import LENGTH, TEXT, made, make_model, text_batch
from tests.tasks.made import classification

TASK = classification(CLASSES)
BATCH = texts([2, 3, 4, 5], [6, 2])
SHARES = Attention(torch.tensor([[0.25] * 4, [1.0, 0, 0, 0]]))


def test_entropy_is_one_for_equal_shares_and_none_for_a_single_part():
    assert attention_loss("entropy", Mixer(4), TASK, BATCH, SHARES).item() == pytest.approx(0.5, abs=1e-4)


def test_supervised_asks_for_what_falls_on_evidence():
    evidence = torch.tensor([[True, True, False, False], [False, True, False, False]])
    batch = BATCH.reading(replace(BATCH.input, evidence=evidence))
    found = attention_loss("supervised", Mixer(4), TASK, batch, SHARES).item()
    assert found == pytest.approx((-math.log(0.5) - math.log(1e-6)) / 2, rel=1e-4)
    first_alone = BATCH.reading(replace(BATCH.input, evidence=evidence & torch.tensor([[True], [False]])))
    assert attention_loss("supervised", Mixer(4), TASK, first_alone, SHARES).item() == pytest.approx(-math.log(0.5))
    assert attention_loss("supervised", Mixer(4), TASK, BATCH, SHARES).item() == 0


def test_the_signal_is_what_the_odds_lose_without_a_part():
    model = Mixer(4, seed=1).eval()
    batch = replace(BATCH.rows(torch.arange(2).repeat(8)), ids=torch.arange(16))
    target = model(batch).answer.argmax(1)
    attention = model(batch, need_attention=True).attention
    places = torch.tensor([[0, 1, 3], [1, 0, 2]]).repeat(8, 1)
    found = decided_by(Removing(model, TASK), batch, target, places, attention)
    gone, own = half(batch, 4), batch.input.own()

    def odds(row, missing):
        alone = batch.rows(torch.tensor([row]))
        tokens = alone.input.tokens.masked_fill(missing & own[row], SPEC.mask_id)
        answer = model(alone.reading(replace(alone.input, tokens=tokens))).answer
        chance = answer.softmax(1)[0, target[row]].item()
        return math.log(chance / (1 - chance))

    for row in range(16):
        for column, place in enumerate(places[row].tolist()):
            here = torch.arange(4) == place
            expected = odds(row, gone[row] & ~here) - odds(row, gone[row] | here)
            assert found[row, column].item() == pytest.approx(expected, abs=1e-4)
    assert (found != 0).any(0).all()


def test_half_of_the_examples_miss_half_of_their_parts():
    batch = replace(BATCH, ids=torch.arange(4000))
    gone = half(batch, 12)
    some = gone[gone.any(1)]
    assert len(some) / 4000 == pytest.approx(0.5, abs=0.03)
    assert some.float().mean().item() == pytest.approx(0.5, abs=0.01)
    alike = torch.corrcoef(some.float().T).fill_diagonal_(0)
    assert alike.abs().max() < 0.1
    assert torch.equal(half(replace(BATCH, ids=torch.tensor([7, 3999])), 12), gone[[7, 3999]])


@pytest.mark.parametrize("target", ["leave_one_out", "ranking", "shapley"])
def test_each_target_is_learned_and_no_answer_feels_it(target):
    spec, batch = made("text")
    batch = batch.rows(torch.arange(len(batch)).repeat(SAMPLE))
    model = make_model("transformer", spec, attention_loss="faithful", attention_target=target, ngrams=2).train()
    task = classification(CLASSES_OF["text"])
    before = model.eval()(batch).answer.detach()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        state = torch.get_rng_state()
        found = attention_loss("faithful", model.train(), task, batch, None)
        assert torch.equal(torch.get_rng_state(), state)
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert torch.equal(model.eval()(batch).answer, before)
    assert not model.predicted.raw
    shares = model(batch, need_attention=True).attention.importance
    torch.testing.assert_close(shares.sum(1), torch.ones(len(batch)))


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
    signal = decided_by(Removing(model, TASK), asked, model(asked).answer.argmax(1), places, attention)
    expected = 0.0
    for row, count in enumerate((4, 3)):
        r = np.corrcoef(attention.importance[row, :count].log().detach(), signal[row, :count])[0, 1]
        expected += count * (2 - 2 * r) / 7
    assert expected > 0.1
    assert attention_loss("faithful", model, TASK, batch, None).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "modality"), [("transformer", "text"), ("resnet_attention", "image")])
def test_looking_leaves_the_model_as_it_was(name, modality):
    spec, batch = made(modality)
    model = make_model(name, spec, attention_loss="faithful").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    attention_loss("faithful", model, classification(CLASSES_OF[modality]), batch, None).backward()
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
    task = classification(CLASSES_OF["text"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def both():
        output = model(batch, need_attention=True, need_layers=False)
        extra = attention_loss(kind, model, task, batch, output.attention)
        return cross_entropy(output.answer, batch.targets["label"]), extra

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
