"""What every model promises, for every combination of its options."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from attnpred.contracts import TextBatch
from attnpred.training.attention_loss import attention_loss
from tests.models.made import CASES, LENGTH, NAMES, TEXT, class_of, made, make_model, text_batch

every = pytest.mark.parametrize(("name", "modality", "changes"), CASES, ids=NAMES)


def some(chosen):
    found = [pytest.param(n, c, id=i) for i, (n, m, c) in zip(NAMES, CASES, strict=True) if chosen(m, c)]
    return pytest.mark.parametrize(("name", "changes"), found)


every_on_text = some(lambda modality, changes: modality == "text")
every_on_text_that_flows = some(lambda m, changes: m == "text" and not changes.keys() & {"attention_loss", "ngrams"})


@every
@torch.no_grad()
def test_asking_for_attention_changes_no_logit(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes)
    silent, asked = model(batch), model(batch, need_attention=True)
    assert silent.attention is None
    assert silent.logits.shape == (len(batch), len(spec.classes))
    torch.testing.assert_close(asked.logits, silent.logits, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        silent, asked = model(batch), model(batch, need_attention=True)
    torch.testing.assert_close(asked.logits, silent.logits, atol=0.05, rtol=0.05)


@every
@torch.no_grad()
def test_importance_is_a_distribution_over_own_parts(name, modality, changes):
    spec, batch = made(modality)
    attention = make_model(name, spec, **changes)(batch, need_attention=True).attention
    if isinstance(batch, TextBatch):
        assert attention.grid is None
        own = batch.own()
    else:
        own = torch.ones(len(batch), attention.grid[0] * attention.grid[1], dtype=torch.bool)
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
    assert lean.attention.grid == whole.attention.grid
    torch.testing.assert_close(lean.logits, whole.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lean.attention.importance, whole.attention.importance, atol=1e-5, rtol=1e-5)
    assert model(batch, need_layers=False).attention is None


@every
def test_every_parameter_gets_a_gradient(name, modality, changes):
    spec, batch = made(modality)
    model = make_model(name, spec, **changes).train()
    trained = changes.get("attention_loss") is not None
    output = model(batch, need_attention=trained, need_layers=False)
    loss = cross_entropy(output.logits, batch.labels)
    (loss + attention_loss("faithful", model, batch, output.attention) if trained else loss).backward()
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
    if name == "bert":  # what it was made from is gone
        config = replace(config, source=str(tmp_path / "gone"))
    restored = class_of(config).restore(config, spec, tmp_path).eval()
    restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(restored(batch).logits, model(batch).logits)


@every_on_text
@torch.no_grad()
def test_padding_changes_nothing(name, changes):
    model = make_model(name, TEXT, **changes)
    together = text_batch()
    whole = model(together, need_attention=True)
    for row, length in enumerate(together.lengths.tolist()):
        alone = TextBatch(
            labels=None,
            ids=together.ids[row : row + 1],
            tokens=together.tokens[row : row + 1, :length],
            lengths=together.lengths[row : row + 1],
            padded=False,
            prefix=1,
            suffix=1,
        )
        output = model(alone, need_attention=True)
        torch.testing.assert_close(output.logits[0], whole.logits[row], atol=1e-5, rtol=1e-5)
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
@every_on_text
@torch.no_grad()
def test_nothing_of_attention_is_stored_unless_asked(name, changes, padded):
    model = make_model(name, TEXT, **changes)
    batch = text_batch() if padded else text_batch((LENGTH, LENGTH))
    parts = LENGTH + (changes["pooling"] == "cls" and name == "transformer")
    with Shapes() as silent:
        model(batch)
    with Shapes() as asked:
        model(batch, need_attention=True)
    assert (parts, parts) not in silent.seen
    assert (parts, parts) in asked.seen


@every_on_text
@torch.no_grad()
def test_without_the_layers_only_those_are_computed_that_importance_needs(name, changes):
    model = make_model(name, TEXT, **changes)
    parts = LENGTH + (changes["pooling"] == "cls" and name == "transformer")
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
    own = batch.own().float()
    if changes["pooling"] == "cls":
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
    shape = batch.tokens.shape if isinstance(batch, TextBatch) else batch.pixels.shape
    assert features.shape[: len(shape)] == shape
