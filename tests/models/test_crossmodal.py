"""Inputs of different kinds that attend to one another: any two, each fusion, and inputs that are missing."""

from dataclasses import replace

import pytest
import torch

from attnpred.contracts import AnswerSpec, Batch, ModelSpec
from attnpred.errors import UserError
from attnpred.explain import base
from attnpred.explain.inputs import places, shares
from attnpred.explain.removal import remove
from tests.explain.made import EXPLAINERS, FEW, make_explainer
from tests.models.made import made, make_config, make_model

PAIRS = [("text", "image"), ("text", "series"), ("image", "series")]
FUSIONS = ("cross", "concat", "late")
SMALL = {"width": 16, "heads": 2, "depth": 2, "dropout": 0.0}
COUNTS = {"text": 13, "image": 32, "series": 16}


def small(**changes):
    encoders = make_config("crossmodal").encoders
    sizes = {"text": {"width": 8, "heads": 2}, "image": {"width": 8, "depth": 1, "heads": 2}, "series": {"width": 8}}
    kept = {kind: replace(one, **sizes[kind]) for kind, one in encoders.items()}
    return {**SMALL, "encoders": {kind: vars(one) for kind, one in kept.items()}, **changes}


def model_and_batch(kinds, answer=None, **changes):
    torch.manual_seed(0)
    specs, inputs = {}, {}
    for kind in kinds:
        specs[f"my_{kind}"], batch = made(kind)
        inputs[f"my_{kind}"] = batch.input
    batch = Batch(inputs=inputs, targets={}, ids=batch.ids)
    model = make_model("crossmodal", ModelSpec(specs, answer or AnswerSpec(3)), **small(**changes))
    with torch.no_grad():
        for pool in model.pools:
            if pool.query is not None:
                pool.query.normal_()
    return model.eval(), batch


def without(batch, name, rows):
    given = torch.tensor([row not in rows for row in range(len(batch))])
    return replace(batch, inputs={**batch.inputs, name: replace(batch.inputs[name], given=given)})


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
@torch.no_grad()
def test_any_two_kinds_meet_and_attention_changes_no_answer(kinds, fusion):
    model, batch = model_and_batch(kinds, fusion=fusion)
    output, attention = base.look(model, batch, layers=True)
    torch.testing.assert_close(output.answer, model(batch).answer, rtol=1e-4, atol=1e-5)
    own = base.own_parts(batch, attention.grids)
    assert attention.importance.shape == (
        len(batch),
        sum(COUNTS[kind] if kind != "image" else 0 for kind in kinds)
        + (
            attention.grids[kinds.index("image")][0] * attention.grids[kinds.index("image")][1]
            if "image" in kinds
            else 0
        ),
    )
    torch.testing.assert_close(attention.importance.sum(1), torch.ones(len(batch)))
    if own is not None:
        assert attention.importance[~own].abs().max() == 0
    each = shares(attention.importance, places(batch, attention.grids))
    torch.testing.assert_close(torch.stack(list(each.values())).sum(0), torch.ones(len(batch)))
    assert len(attention.layers) == (0 if fusion == "late" else 2)


@pytest.mark.parametrize("fusion", FUSIONS)
@torch.no_grad()
def test_what_is_attended_to_is_the_other_input_alone_or_all(fusion):
    model, batch = model_and_batch(("text", "image"), fusion=fusion)
    _, attention = base.look(model, batch, layers=True)
    for weights in attention.layers:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]))
        words = weights[..., 2 : 2 + COUNTS["text"], :]  # (batch, heads, words, positions)
        own = words[..., 2 : 2 + COUNTS["text"]].sum(-1)
        assert (own.max() == 0) == (fusion == "cross")
        assert words[..., 2 + COUNTS["text"] :].sum(-1).min() > 0


@pytest.mark.parametrize("fusion", FUSIONS)
@torch.no_grad()
def test_of_a_missing_input_nothing_is_felt_and_nothing_is_important(fusion):
    model, batch = model_and_batch(("text", "image"), fusion=fusion)
    gone = without(batch, "my_image", {0, 2})
    image = gone.inputs["my_image"]
    other = replace(gone, inputs={**gone.inputs, "my_image": replace(image, pixels=255 - image.pixels)})
    one, two = base.look(model, gone, layers=False), base.look(model, other, layers=False)
    missing = [0, 2]
    torch.testing.assert_close(one[0].answer[missing], two[0].answer[missing])
    assert (one[0].answer[[1, 3]] - two[0].answer[[1, 3]]).abs().max() > 1e-4
    torch.testing.assert_close(one[0].answer[[1, 3]], model(batch).answer[[1, 3]], rtol=1e-4, atol=1e-5)
    of_input = places(gone, one[1].grids)
    assert not of_input["my_image"][missing].any()
    assert one[1].importance[0][COUNTS["text"] :].abs().max() == 0
    torch.testing.assert_close(one[1].importance.sum(1), torch.ones(len(batch)))


def test_training_leaves_inputs_out_and_never_all_of_an_example():
    model, batch = model_and_batch(("text", "image"), missing=0.5)
    many = batch.rows(torch.arange(4).repeat(100))
    model.train()
    torch.manual_seed(0)
    given = model._given(many)
    assert given.any(1).all()
    assert 0.15 < (~given[:, 0]).float().mean() < 0.35
    assert 0.15 < (~given[:, 1]).float().mean() < 0.35
    known = without(many, "my_image", set(range(400)))
    assert model._given(known).tolist() == [[True, False]] * 400
    model.eval()
    assert model._given(many).all()


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_has_a_number_for_the_parts_of_each_input(name):
    model, batch = model_and_batch(("text", "image"))
    from tests.models.made import CLASSES
    from tests.tasks.made import classification

    task = classification(CLASSES["image"])
    explainer = make_explainer(name, model, task, **FEW.get(name, {}))
    with torch.no_grad():
        output, attention = base.look(model, batch, layers=False)
    found = explainer(batch, task.choose(output))
    assert found.shape == attention.importance.shape
    assert found.isfinite().all()
    of_input = places(batch, attention.grids)
    here = {part: found[mine].abs().max() for part, mine in of_input.items()}
    assert here["my_image"] > 0
    assert (here["my_text"] > 0) == (name != "gradcam")


@torch.no_grad()
def test_one_input_can_be_taken_away_and_the_other_stays():
    model, batch = model_and_batch(("text", "image"))
    _, attention = base.look(model, batch, layers=False)
    words = places(batch, attention.grids)["my_text"]
    left = remove(batch, words, "mask", model.spec, attention.grids)
    assert torch.equal(left.inputs["my_image"].pixels, batch.inputs["my_image"].pixels.float())
    own = batch.inputs["my_text"].own()
    assert (left.inputs["my_text"].tokens[own] == model.spec.inputs["my_text"].mask_id).all()


@torch.no_grad()
def test_several_answers_have_an_attention_each_here_too():
    answer = AnswerSpec(5, exclusive=False, answers=(AnswerSpec(3), AnswerSpec(2)))
    for fusion in FUSIONS:
        model, batch = model_and_batch(("text", "image"), answer, fusion=fusion)
        first, second = (
            base.look(model, batch, layers=False, choice=torch.full((4,), number))[1].importance for number in (0, 4)
        )
        assert (first - second).abs().max() > 1e-3


def test_a_kind_without_an_encoder_is_named():
    encoders = small()["encoders"]
    with pytest.raises(UserError, match="has none for series, which my_series is"):
        model_and_batch(("text", "series"), encoders={kind: encoders[kind] for kind in ("text", "image")})
