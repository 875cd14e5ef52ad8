"""Attention that is predicted: by a network that the answer does not feel."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.models.predicted import shares
from tests.models.made import LENGTH, MODELS, SMALL, class_of, made, make_config, make_model, text_batch, wrapped

FAITHFUL = {"attention_loss": "faithful"}
EVERY = pytest.mark.parametrize(
    ("name", "modality"),
    MODELS,
)


@EVERY
@torch.no_grad()
def test_the_answer_is_that_of_a_model_without(name, modality):
    spec, batch = made(modality)
    answers, drawn = [], []
    for changes in ({}, FAITHFUL):
        torch.manual_seed(0)
        config = make_config(name, **{**SMALL.get(name, {}), **changes})
        model = class_of(config)(config, wrapped(spec))
        drawn.append(torch.rand(()))
        answers.append(model.eval()(batch).answer)
    torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=0)
    assert drawn[0] == drawn[1]


@EVERY
def test_no_gradient_flows_back_from_it(name, modality):
    spec, batch = made(modality)
    model = make_model(name, spec, **FAITHFUL)
    model(batch, need_attention=True).attention.importance[0, 1].backward()
    felt = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert felt == {"predicted"}


@EVERY
def test_it_can_tell_any_parts_by_what_is_in_them(name, modality):
    """Of examples that differ, each may have another most important part.

    Two parts always share in the same two ways, between which no gradient leads: their order is learned from others.
    """
    spec, batch = made(modality)
    if modality == "text":
        batch = text_batch((LENGTH, 3, 5, 8))
    model = make_model(name, spec, **FAITHFUL)
    with torch.no_grad():
        plain = make_model(name, spec)(batch, need_attention=True).attention.importance
    own = torch.ones_like(plain, dtype=torch.bool) if modality == "series" else plain > 0  # where 0 may be a part's too
    wanted = plain.masked_fill(~own, 2.0).argmin(1)
    optimizer = torch.optim.Adam(model.predicted.parameters(), lr=0.005)
    for _ in range(150):
        optimizer.zero_grad()
        importance = model(batch, need_attention=True, need_layers=False).attention.importance
        cross_entropy(importance.clamp(min=1e-9).log(), wanted).backward()
        optimizer.step()
    assert importance.argmax(1).tolist() == wanted.tolist()
    assert (importance[~own] == 0).all()


def test_the_class_that_is_answered_chooses_what_is_told():
    spec, batch = made("text")
    model = make_model("transformer", spec, **FAITHFUL)
    with torch.no_grad():
        model.predicted.tell.weight.normal_()
        first = model(batch, need_attention=True)
        model.head.bias += 1000 * (torch.arange(2) != first.answer[0].argmax())
        second = model(batch, need_attention=True)
        assert not torch.allclose(first.attention.importance[0], second.attention.importance[0])
        model.predicted.tell.weight[:] = model.predicted.tell.weight[:1]
        alike = model(batch, need_attention=True).attention.importance
        model.head.bias -= 2000 * (torch.arange(2) != first.answer[0].argmax())
        torch.testing.assert_close(model(batch, need_attention=True).attention.importance, alike)


def test_shares_keep_the_order_of_scores_of_any_size_and_sign():
    scores = torch.tensor([[0.0, -0.5, 1.0, 9.0], [0.2, 0.2, 0.2, 0.2]])
    own = torch.tensor([[True, True, True, False], [True, True, True, True]])
    found = shares(scores, own)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    assert found[0].tolist()[3] == 0
    assert found[0].argsort().tolist() == [3, 1, 0, 2]
    torch.testing.assert_close(found[0, :3].log().std(correction=0), torch.tensor(1.0))
    torch.testing.assert_close(found[1], torch.full((4,), 0.25))
    torch.testing.assert_close(shares(7 * scores - 3, own), found)
    torch.testing.assert_close(shares(scores[:, :3], None), shares(scores[:, :3], own[:, :3]))
