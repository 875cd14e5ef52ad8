"""What every model promises, for every combination of its options."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from attnpred.contracts import AnswerSpec, Batch, ModelSpec
from attnpred.modalities.text.batch import TextInput
from attnpred.training.attention_loss import attention_loss
from tests.models.made import (
    CASES,
    CLASSES,
    CONF,
    LENGTH,
    MODELS,
    NAMES,
    PAIR,
    TEXT,
    class_of,
    made,
    make_model,
    make_task,
    pair_batch,
    text_batch,
    wrapped,
)

every = pytest.mark.parametrize(("name", "modality", "changes"), CASES, ids=NAMES)


def some(chosen, without=()):
    cases = zip(NAMES, CASES, strict=True)
    found = [pytest.param(n, c, id=i) for i, (n, m, c) in cases if chosen(m, c) and n not in without]
    return pytest.mark.parametrize(("name", "changes"), found)


every_on_text = some(lambda modality, changes: modality == "text")
# whose layers are attention of each part to each
every_with_layers = some(lambda modality, changes: modality == "text", without=("recurrent",))
every_on_text_that_flows = some(
    lambda m, changes: m == "text" and not changes.keys() & {"attention_loss", "ngrams"}, without=("recurrent",)
)


@every
@torch.no_grad()
def test_asking_for_attention_changes_no_logit(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    silent, asked = model(batch), model(batch, need_attention=True)
    assert silent.attention is None
    assert silent.answer.shape == (len(batch), wrapped(spec).answer.width)
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        silent, asked = model(batch), model(batch, need_attention=True)
    torch.testing.assert_close(asked.answer, silent.answer, atol=0.05, rtol=0.05)


@every
@torch.no_grad()
def test_importance_is_a_distribution_over_own_parts(name, modality, changes):
    spec, batch = made(modality)
    attention = make_model(name, spec, **changes)(batch, need_attention=True).attention
    [grid] = attention.grids
    assert modality == "series" or (grid is None) == (modality == "text")
    own = batch.input.own()
    if own is None:
        own = torch.ones(len(batch), batch.input.parts(grid), dtype=torch.bool)
    importance = attention.importance
    assert importance.dtype == torch.float32
    assert importance.shape == own.shape
    assert (importance >= 0).all()
    assert (importance[~own] == 0).all()
    torch.testing.assert_close(importance.sum(1), torch.ones(len(batch)))
    for weights in attention.layers:
        assert weights.shape[0] == len(batch)
        assert weights.dim() == 4
        if changes.get("attention") != "cbam":  # whose gates are no distribution
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:3]))


@every
@torch.no_grad()
def test_importance_is_the_same_without_the_layers(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    whole, lean = (model(batch, need_attention=True, need_layers=layers) for layers in (True, False))
    assert lean.attention.layers == ()
    assert lean.attention.grids == whole.attention.grids
    torch.testing.assert_close(lean.answer, whole.answer, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lean.attention.importance, whole.attention.importance, atol=1e-5, rtol=1e-5)
    assert model(batch, need_layers=False).attention is None


@every
def test_every_parameter_gets_a_gradient(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes).train()
    trained = changes.get("attention_loss") is not None
    output = model(batch, need_attention=trained, need_layers=False)
    loss = cross_entropy(output.answer, batch.targets["label"])
    if trained:
        loss = loss + attention_loss("faithful", model, make_task(CLASSES[modality]), batch, None)
    loss.backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    # but for a key's bias, which softmax cancels, all have something to learn
    idle = [k for k, p in model.named_parameters() if not p.grad.any() and not k.endswith("key.bias")]
    assert idle == []


@every
@torch.no_grad()
def test_a_restored_model_is_the_same(name, modality, changes, tmp_path, monkeypatch):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    model.save_assets(tmp_path)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    config = model.config
    if name in ("bert", "vision"):  # what it was made from is gone
        config = replace(config, source=str(tmp_path / "gone"))
    restored = class_of(config).restore(config, model.spec, tmp_path).eval()
    restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(restored(batch).answer, model(batch).answer)


@every_on_text
@torch.no_grad()
def test_padding_changes_nothing(name, changes):
    model = make_model(name, TEXT, **changes)
    together = text_batch()
    whole = model(together, need_attention=True)
    for row, length in enumerate(together.input.lengths.tolist()):
        tokens, lengths = together.input.tokens[row : row + 1, :length], together.input.lengths[row : row + 1]
        texts = TextInput(tokens=tokens, lengths=lengths, padded=False, prefix=1, suffix=1)
        alone = Batch(inputs={"text": texts}, targets={}, ids=together.ids[row : row + 1])
        output = model(alone, need_attention=True)
        torch.testing.assert_close(output.answer[0], whole.answer[row], atol=1e-5, rtol=1e-5)
        importance = whole.attention.importance[row]
        torch.testing.assert_close(output.attention.importance[0], importance[:length], atol=1e-5, rtol=1e-5)


class Shapes(TorchDispatchMode):
    """Notes the last two sizes of every tensor that an operation makes, and of every softmax's."""

    def __init__(self):
        super().__init__()
        self.seen = set()
        self.softmaxes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self.seen.add(tuple(value.shape[-2:]))
        if func is torch.ops.aten._softmax.default:
            self.softmaxes.append(tuple(result.shape[-2:]))
        return result


@pytest.mark.parametrize("padded", [True, False])
@every_with_layers
@torch.no_grad()
def test_nothing_of_attention_is_stored_unless_asked(name, changes, padded):
    model = make_model(name, TEXT, **changes)
    batch = text_batch() if padded else text_batch((LENGTH, LENGTH))
    parts = LENGTH + (changes.get("pooling") == "cls" and name == "transformer")
    with Shapes() as silent:
        model(batch)
    with Shapes() as asked:
        model(batch, need_attention=True)
    assert (parts, parts) not in silent.seen
    assert (parts, parts) in asked.seen


@every_with_layers
@torch.no_grad()
def test_without_the_layers_only_those_are_computed_that_importance_needs(name, changes):
    model = make_model(name, TEXT, **changes)
    parts = LENGTH + (changes.get("pooling") == "cls" and name == "transformer")
    with Shapes() as asked:
        model(text_batch(), need_attention=True)
    with Shapes() as lean:
        model(text_batch(), need_attention=True, need_layers=False)
    assert asked.softmaxes.count((parts, parts)) == 2
    flows = changes["pooling"] != "attention" and "attention_loss" not in changes
    assert lean.softmaxes.count((parts, parts)) == flows
    assert ((parts, parts) in lean.seen) == flows


@every_on_text_that_flows
@torch.no_grad()
def test_importance_comes_from_where_it_is_said_to(name, changes):
    batch = text_batch()
    attention = make_model(name, TEXT, **changes)(batch, need_attention=True).attention
    last = attention.layers[-1].mean(1)  # (batch, query, key)
    own = batch.input.own().float()
    if changes.get("pooling") == "cls":
        raw = last[:, 0, -LENGTH:]
    elif changes["pooling"] == "mean":
        raw = ((own / own.sum(1, keepdim=True))[:, None] @ last)[:, 0]
    else:
        raw = attention.importance
        assert (raw[0][own[0] > 0].std() > 1e-3).item(), "the pooling weighs all tokens alike"
    raw = raw * own
    torch.testing.assert_close(attention.importance, raw / raw.sum(1, keepdim=True))


@every
@torch.no_grad()
def test_what_the_pooling_reads_is_a_distribution_over_positions(name, modality, changes):
    spec, batch = made(modality)
    attention = make_model(name, spec, **changes)(batch, need_attention=True).attention
    parts = attention.importance.shape[1]
    assert attention.read.shape in ((len(batch), parts), (len(batch), parts + 1))  # a learned token comes first
    torch.testing.assert_close(attention.read.float().sum(1), torch.ones(len(batch)))


@every
@torch.no_grad()
def test_the_entrance_sees_every_part(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    seen = []
    model.entrance().register_forward_hook(lambda module, given, found: seen.append(found))
    model(batch)
    [features] = seen
    read = batch.input
    if modality == "series":  # by moment, or as a map of variables and moments
        count, variables, moments = read.values.shape
        assert features.shape in ((count, moments, variables), (count, 1, variables, moments))
        return
    shape = read.tokens.shape if modality == "text" else read.pixels.shape
    assert features.shape[: len(shape)] == shape


def test_every_model_of_the_configuration_is_held_to_this():
    assert {case[:2] for case in CASES} == set(MODELS)
    # what joins inputs, and what answers by texts, have tests of their own
    apart = {"crossmodal", "seq2seq"}
    assert {name for name, _ in MODELS} == {file.stem for file in CONF.glob("*.yaml")} - apart


ANSWERS = {
    "a number": AnswerSpec(1, exclusive=False, centred=True),
    "several numbers": AnswerSpec(4, exclusive=False, centred=True),
    "labels": AnswerSpec(3, exclusive=False),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(("name", "modality"), MODELS)
def test_answers_of_every_kind_are_given(name, modality, answer):
    spec, batch = made(modality)
    model = make_model(name, ModelSpec({modality: spec}, ANSWERS[answer]))
    output = model(batch, need_attention=True)
    assert output.answer.shape == (len(batch), ANSWERS[answer].width)
    torch.testing.assert_close(output.attention.importance.sum(1), torch.ones(len(batch)))
    output.answer.square().sum().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("name", "changes"), [("transformer", {"ngrams": 2}), ("transformer", {}), ("bert", {})])
@torch.no_grad()
def test_a_single_number_has_an_importance_of_its_own(name, changes):
    """Of numbers that do not compete nothing cancels, so that scores count though there is but one."""
    model = make_model(name, ModelSpec({"text": TEXT}, ANSWERS["a number"]), **changes)
    importance = model(text_batch(), need_attention=True).attention.importance
    assert importance[0, 1:-1].std() > 1e-4


@pytest.mark.parametrize(("name", "modality"), MODELS)
@torch.no_grad()
def test_a_choice_says_which_number_the_importance_is_for(name, modality):
    spec, batch = made(modality)
    model = make_model(name, ModelSpec({modality: spec}, ANSWERS["several numbers"]), attention_loss="faithful")
    usual = model(batch, need_attention=True)
    chosen = model.spec.answer.choose(usual.answer)

    def importance(choice):
        output = model(batch, need_attention=True, choice=choice)
        assert torch.equal(output.answer, usual.answer)
        return output.attention.importance

    torch.testing.assert_close(importance(chosen), usual.attention.importance)
    other = (torch.where(chosen < 0, ~chosen, chosen) + 1) % 4
    assert not torch.allclose(importance(other), usual.attention.importance, atol=1e-4)
    assert not torch.allclose(importance(~chosen), usual.attention.importance, atol=1e-4)


on_pairs = pytest.mark.parametrize("name", [name for name, modality in MODELS if modality == "text"])


@on_pairs
@torch.no_grad()
def test_padding_changes_nothing_of_two_texts(name):
    model, together = make_model(name, PAIR), pair_batch()
    whole = model(together, need_attention=True)
    own = together.input.own()
    assert (whole.attention.importance[~own] == 0).all()
    torch.testing.assert_close(whole.attention.importance.sum(1), torch.ones(len(together)))
    for row, length in enumerate(together.input.lengths.tolist()):
        texts = together.input.rows(torch.tensor([row]))
        short = replace(texts, tokens=texts.tokens[:, :length], segments=texts.segments[:, :length], padded=False)
        output = model(Batch(inputs={"text": short}, targets={}, ids=together.ids[:1]), need_attention=True)
        torch.testing.assert_close(output.answer[0], whole.answer[row], atol=1e-5, rtol=1e-5)
        found, importance = output.attention.importance[0], whole.attention.importance[row]
        torch.testing.assert_close(found, importance[:length], atol=1e-5, rtol=1e-5)


@on_pairs
def test_which_of_two_texts_a_token_belongs_to_counts(name):
    model, batch = make_model(name, PAIR), pair_batch()
    answer = model(batch).answer
    answer.square().sum().backward()
    assert [key for key, p in model.named_parameters() if not p.grad.any() and not key.endswith("key.bias")] == []
    segments = batch.input.segments.clone()
    segments[0, 2:7] = 1  # most of the first text's tokens
    turned = batch.reading(replace(batch.input, segments=segments))
    assert not torch.allclose(model(turned).answer[0], answer[0], atol=1e-4)
