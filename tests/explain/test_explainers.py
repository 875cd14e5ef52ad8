"""Every explainer: against a calculation of its own, and what all of them promise on every model."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch

from attnpred.errors import UserError
from attnpred.explain import base
from attnpred.explain.attnlrp import Rules
from attnpred.explain.deep_lift import Rescale
from attnpred.explain.removal import Removing, remove
from tests.explain.made import CLASSES, EXPLAINERS, FEW, PICTURE, Channels, Mixer, make_explainer, pictures, texts
from tests.explain.made import SPEC as TEXT_SPEC
from tests.models.made import CASES, NAMES, made, make_model, wrapped
from tests.models.made import CLASSES as CLASSES_OF
from tests.tasks.made import classification

BATCH = texts([2, 3, 4, 5, 6], [6, 2, 4])
TARGET = torch.tensor([1, 0])
TASK = classification(CLASSES)
TASKS = {modality: classification(known) for modality, known in CLASSES_OF.items()}


def explain(name, model, batch, target, task=TASK, **changes):
    return make_explainer(name, model.eval(), task, **changes)(batch, target)


def promised():
    """Every explainer with every case, fewer passes than usual where it asks often, and one case a model then."""
    for name in EXPLAINERS:
        seen = set()
        for case, called in zip(CASES, NAMES, strict=True):
            if name not in FEW or case[:2] not in seen:
                yield pytest.param(name, *case, id=f"{called}-{name}")
            seen.add(case[:2])


def numbers(model):
    """Each example's read, layers (heads apart) and token features as numpy arrays, padding cut off."""
    read, layers = model.weights(BATCH)
    for row, length in enumerate(BATCH.input.lengths.tolist()):
        tokens = BATCH.input.tokens[row, :length]
        yield (
            read[row, :length].detach().numpy(),
            [w[row, :, :length, :length].detach().numpy() for w in layers],
            model.table.weight[tokens].detach().numpy(),
        )


def check(found, expected, *, sums_to_one=False):
    assert found.dtype == torch.float32
    for row, wanted in enumerate(expected):
        wanted = np.asarray(wanted)
        if sums_to_one:
            wanted = wanted / wanted.sum()
        np.testing.assert_allclose(found[row, : len(wanted)].numpy(), wanted, atol=1e-6, rtol=1e-4)
        assert not found[row, len(wanted) :].any()


def test_attention_is_what_the_pooling_reads():
    model = Mixer(5)
    check(explain("attention", model, BATCH, TARGET), [read for read, _, _ in numbers(model)])


def test_rollout_is_a_product_of_matrices():
    model = Mixer(5)
    expected = []
    for read, layers, _ in numbers(model):
        matrices = [0.5 * (np.eye(len(read)) + heads.mean(0)) for heads in layers]
        expected.append(read @ matrices[1] @ matrices[0])
    check(explain("rollout", model, BATCH, TARGET), expected, sums_to_one=True)


def test_gradient_weighted_attention():
    model = Mixer(5, seed=4)
    expected = []
    for (read, layers, x), target in zip(numbers(model), TARGET, strict=True):
        (first, second), wanted = (heads.mean(0) for heads in layers), x[:, target]
        # logit = read · second · first · wanted, and each of two heads has half a say
        slope_read = second @ first @ wanted
        slope_second = np.outer(read, first @ wanted) / 2
        slope_first = np.outer(read @ second, wanted) / 2
        helpful = [
            np.maximum(heads * slope, 0).mean(0)
            for heads, slope in zip(layers, (slope_first, slope_second), strict=True)
        ]
        relevance = np.eye(len(read))
        for layer in helpful:
            relevance = relevance + layer @ relevance
        expected.append(np.maximum(read * slope_read, 0) @ relevance)
    check(explain("grad_attention", model, BATCH, TARGET), expected, sums_to_one=True)


def test_gradient_times_input():
    model = Mixer(5)
    expected = [
        (read @ layers[1].mean(0) @ layers[0].mean(0)) * x[:, target]
        for (read, layers, x), target in zip(numbers(model), TARGET, strict=True)
    ]
    check(explain("input_x_gradient", model, BATCH, TARGET), expected)
    # nothing in this model but weights that do not depend on the input: relevance is the same
    check(explain("attnlrp", model, BATCH, TARGET), expected)


def test_integrated_gradients_of_a_linear_model_are_exact():
    model = Mixer(5)
    nothing = model.table.weight[TEXT_SPEC.mask_id].detach().numpy()
    expected = [
        (read @ layers[1].mean(0) @ layers[0].mean(0)) * (x - nothing)[:, target]
        for (read, layers, x), target in zip(numbers(model), TARGET, strict=True)
    ]
    check(explain("integrated_gradients", model, BATCH, TARGET), expected)


def test_integrated_gradients_add_up_to_what_the_content_changes():
    model, batch = Channels(), pictures(3)
    target = torch.tensor([0, 1, 1])
    found = explain("integrated_gradients", model, batch, target)
    with torch.no_grad():
        whole = model(batch).answer.gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(found.sum(1), whole, atol=1e-3, rtol=1e-3)  # of the mean colour they are 0


def test_occlusion_is_the_fall_without_each_part():
    model = Mixer(5)
    expected = []
    for (read, layers, x), target in zip(numbers(model), TARGET, strict=True):
        flow = read @ layers[1].mean(0) @ layers[0].mean(0)
        falls = []
        for gone in range(len(read)):
            without = x.copy()
            without[gone] = model.table.weight[TEXT_SPEC.mask_id].detach().numpy()
            whole, less = (np.exp(flow @ features) for features in (x, without))
            falls.append((whole / whole.sum() - less / less.sum())[target])
        expected.append(falls)
    check(explain("occlusion", model, BATCH, TARGET), expected)


@pytest.mark.parametrize(("name", "changes"), [("kernel_shap", {"samples": 400}), ("sampling_shapley", {"orders": 60})])
def test_shapley_values_are_those_of_all_orders(name, changes):
    model, batch, target = Mixer(5), BATCH.rows(torch.tensor([1])), TARGET[1:]
    own = int(batch.input.lengths)
    value = {}
    for there in product((False, True), repeat=own):
        gone = torch.tensor([[*(not one for one in there), *[False] * (5 - own)]])
        output = model.eval()(remove(batch, gone, "mask", wrapped(TEXT_SPEC), (None,)))
        value[there] = TASK.score(output, target).item()
    expected = np.zeros(own)
    orders = list(permutations(range(own)))
    for order in orders:
        there = [False] * own
        for part in order:
            before = value[tuple(there)]
            there[part] = True
            expected[part] += (value[tuple(there)] - before) / len(orders)
    found = explain(name, model, batch, target, **changes)
    np.testing.assert_allclose(found[0, :own].numpy(), expected, atol=0.02)
    assert found[0, :own].sum().item() == pytest.approx(value[(True,) * own] - value[(False,) * own], abs=1e-3)


def test_lime_weighs_near_sets_of_parts():
    model = Mixer(5)
    found = explain("lime", model, BATCH, TARGET, samples=300, ridge=1e-6, width=10.0)
    alone = explain("occlusion", model, BATCH, TARGET)
    assert torch.corrcoef(torch.stack((found[0], alone[0])))[0, 1] > 0.9


def test_gradient_shap_without_noise_is_integrated_gradients_of_a_linear_model():
    model = Mixer(5)
    found = explain("gradient_shap", model, BATCH, TARGET, noise=0.0)
    torch.testing.assert_close(found, explain("integrated_gradients", model, BATCH, TARGET), atol=1e-5, rtol=1e-3)


def test_differences_add_up_to_what_the_content_changes():
    """Through an activation whose slope at the input is not what it did on the way."""
    model, batch = make_model("resnet_attention", made("image")[0], pooling="mean", attention="none"), made("image")[1]
    target = torch.zeros(len(batch), dtype=torch.long)
    x = torch.tensor([[-2.0], [3.0], [0.5], [1.0]]).requires_grad_()
    with Rescale():
        y = torch.relu(x)
    [slope] = torch.autograd.grad(y[:2].sum(), x)
    # the first against the third and the second against the fourth: changes of the output over those of the input
    assert slope[:2, 0].tolist() == pytest.approx([(0 - 0.5) / (-2 - 0.5), (3 - 1) / (3 - 1)])
    assert explain("deep_lift", model, batch, target, TASKS["image"]).isfinite().all()


def test_what_streams_is_no_more_than_the_narrowest_pipe():
    model = Mixer(5)
    expected = []
    for read, layers, _ in numbers(model):
        pipes = [0.5 * (np.eye(len(read)) + heads.mean(0)) for heads in layers]
        expected.append([narrowest(read, pipes, part) for part in range(len(read))])
    found = explain("attention_flow", model, BATCH, TARGET)
    for row, flows in enumerate(expected):
        np.testing.assert_allclose(found[row, : len(flows)].numpy(), np.array(flows) / sum(flows), atol=1e-4)


def narrowest(read, pipes, part):
    """The least cut of two layers between the answer and a part, by trying out all of them."""
    first, second = pipes
    size = len(read)
    cuts = []
    for upper in product((False, True), repeat=size):  # positions on the answer's side, above and below the last layer
        for lower in product((False, True), repeat=size):
            up, low = np.array(upper), np.array(lower)
            cuts.append(read[~up].sum() + second[up][:, ~low].sum() + first[low, part].sum())
    return min(cuts)


def test_a_search_finds_what_does_best():
    batch, model = BATCH.rows(torch.tensor([1])), Mixer(5).eval()
    target, removing = TARGET[1:], Removing(model, TASK)
    found = explain("beam", model, batch, target, beams=10, steps=3)

    def worth(order):
        sets = torch.zeros(3, 1, 5, dtype=torch.bool)
        for step in range(3):
            sets[step, 0, list(order[: step + 1])] = True
        own = batch.input.own()
        return (
            removing.scores(batch, target, ~sets & own, (None,)) - removing.scores(batch, target, sets, (None,))
        ).sum()

    best = max(permutations(range(3)), key=worth)
    assert found[0, :3].argsort(descending=True).tolist() == list(best)


def test_words_of_a_sentence_share_what_it_has():
    spec = replace(TEXT_SPEC, spelled={2: "a", 3: "b", 4: ".", 5: "c", 6: "!"})
    batch = texts([2, 3, 4, 5, 6], [6, 2, 4])
    assert batch.input.passages(spec).tolist()[0] == [0, 0, 0, 1, 1]
    assert batch.input.passages(spec)[1, :3].tolist() == [0, 1, 1]
    model = Mixer(5)
    model.spec = wrapped(replace(spec))
    by_word, found = (explain(name, model, batch, TARGET) for name in ("integrated_gradients", "sentences"))
    torch.testing.assert_close(found[0, :3], by_word[0, :3].mean().expand(3))
    torch.testing.assert_close(found[0, 3:], by_word[0, 3:].mean().expand(2))
    torch.testing.assert_close(found.sum(1), by_word.sum(1))


def test_gradcam_weighs_channels_by_their_gradient():
    model, batch = Channels(), pictures(2)
    x = (batch.input.pixels[:, 0].double().numpy() - 100) / 50
    seen = np.stack([x**2 + x, 4 * x**2 + x], axis=1)  # (batch, channels, rows, columns)
    head = model.head.detach().numpy()
    maps = [np.maximum(np.tensordot(head[t], m, 1), 0).ravel() for t, m in zip(TARGET, seen, strict=True)]
    check(explain("gradcam", model, batch, TARGET), maps, sums_to_one=True)


def test_gradcam_wants_a_map():
    with pytest.raises(UserError, match="gradcam: this model has no convolutional map; use grad_attention"):
        base.make("gradcam", Mixer(5), TASK)


def test_chance_is_the_examples_own():
    model = Mixer(5)
    together = explain("random", model, BATCH, TARGET)
    alone = explain("random", model, BATCH.rows(torch.tensor([1])), TARGET[1:])
    assert torch.equal(together[1:], alone)
    assert together[0].unique().numel() == 5
    torch.testing.assert_close(together.sum(1), torch.ones(2))


def test_relevance_through_attention_by_the_authors_rules():
    """One head: softmax, two products of activations, an activation and a norm, each rule worked out on numbers."""
    random = torch.Generator().manual_seed(3)
    x = torch.randn(4, 3, generator=random, dtype=torch.float64).requires_grad_()
    to_query, to_key, to_value = (torch.randn(3, 3, generator=random, dtype=torch.float64) for _ in range(3))
    last = torch.randn(3, generator=random, dtype=torch.float64)
    with Rules():
        query, key, value = x @ to_query, x @ to_key, x @ to_value
        weights = torch.matmul(query, key.transpose(0, 1)).softmax(-1)
        read = torch.nn.functional.gelu(torch.matmul(weights, value))
        normed = torch.nn.functional.layer_norm(read, (3,))
        total = (normed @ last).sum()
        [slope] = torch.autograd.grad(total, x)
    found = (slope * x).detach().numpy()

    q, k, v, w, r, a = (t.detach().numpy() for t in (query, key, value, weights, read, weights @ value))
    # norm: the mean is taken off, which is linear; the deviation is a constant
    spread = np.sqrt(r.var(1, keepdims=True) + 1e-5)
    slope_read = (last.numpy() - last.numpy().mean()) / spread
    relevance_a = r * slope_read  # the activation hands relevance on as it is
    with np.errstate(divide="ignore"):
        ratio = relevance_a / a
    # each of the two factors gets half of what their product got
    relevance_w = 0.5 * w * (ratio @ v.T)
    relevance_v = 0.5 * v * (w.T @ ratio)
    scores = q @ k.T
    relevance_scores = scores * (relevance_w - w * relevance_w.sum(1, keepdims=True))
    ratio_scores = relevance_scores / scores
    relevance_q = 0.5 * q * (ratio_scores @ k)
    relevance_k = 0.5 * k * (ratio_scores.T @ q)
    expected = sum(
        x.detach().numpy() * ((relevance / out) @ matrix.numpy().T)
        for relevance, out, matrix in (
            (relevance_q, q, to_query),
            (relevance_k, k, to_key),
            (relevance_v, v, to_value),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "model_name", "modality", "changes"), list(promised()))
def test_what_all_promise(name, model_name, modality, changes):
    spec, batch = made(modality)
    model = make_model(model_name, spec, **changes).eval()
    if name == "gradcam" and model.last_map() is None:
        pytest.skip("no convolutional map")
    target = torch.arange(len(batch)) % model.spec.answer.width
    needs = [p.requires_grad for p in model.parameters()]
    found = explain(name, model, batch, target, TASKS[modality], **FEW.get(name, {}))
    output = model(batch, need_attention=True)
    own = base.own_parts(batch, output.attention.grids)
    assert found.shape == output.attention.importance.shape
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert found.isfinite().all()
    if own is not None:
        assert not found[~own].any()
    if base.make(name, model, TASKS[modality]).signed:
        assert found.any()
    else:
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(1), torch.ones(len(batch)))
    # the model is left as it was
    assert [p.requires_grad for p in model.parameters()] == needs
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        torch.testing.assert_close(model(batch).answer, output.answer, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_an_explanation_does_not_depend_on_the_batch(name):
    spec, batch = made("text")
    model = make_model("transformer", spec)
    if name == "gradcam":
        spec, batch = made("image")
        model = make_model("resnet_attention", spec)
    target = torch.zeros(len(batch), dtype=torch.long)
    task = TASKS[spec.modality]
    few = FEW.get(name, {})
    together = explain(name, model, batch, target, task, **few)
    for row in range(len(batch)):
        alone = explain(name, model, batch.rows(torch.tensor([row])), target[:1], task, **few)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", ["attnlrp", "grad_attention", "input_x_gradient", "integrated_gradients"])
def test_gradients_are_asked_of_half_a_batch_at_a_time(name):
    """Of a whole one they would need more memory than a step of training."""
    model, batch, asked = Mixer(5), texts(*[[2, 3, 4]] * 9), []

    def remember(module, given, output):
        if output.answer.requires_grad:
            asked.append(len(given[0]))

    model.register_forward_hook(remember)
    explain(name, model, batch, torch.ones(9, dtype=torch.long))
    assert set(asked) == {5, 4}


def test_unknown_explainers_are_named():
    with pytest.raises(
        UserError, match=r"--explainer atention: no such explainer; use one of .*did you mean attention"
    ):
        base.make("atention", Mixer(5), TASK)


def taken(batch, gone, removal, spec, grid=None):
    """The only input of a batch without the parts `gone`."""
    return remove(batch, gone, removal, wrapped(spec), (grid,)).input


def test_removed_tokens_become_masks_or_go():
    gone = torch.tensor([[True, False, True, False, False], [False, False, True, False, False]])
    masked = taken(BATCH, gone, "mask", TEXT_SPEC)
    assert masked.tokens.tolist() == [[1, 3, 1, 5, 6], [6, 2, 1, 0, 0]]
    assert masked.lengths.tolist() == [5, 3]
    closed = taken(BATCH, gone, "delete", TEXT_SPEC)
    assert closed.tokens.tolist() == [[3, 5, 6, 0, 0], [6, 2, 0, 0, 0]]
    assert closed.lengths.tolist() == [3, 2]
    nothing = taken(BATCH, torch.ones(2, 5, dtype=torch.bool), "delete", TEXT_SPEC)
    assert nothing.tokens.tolist() == [[1, 0, 0, 0, 0]] * 2
    assert nothing.lengths.tolist() == [1, 1]


def test_removed_tokens_leave_special_ones_in_place():
    spec, batch = made("text")
    prefix, suffix = len(spec.prefix), len(spec.suffix)
    batch = batch.rows(batch.input.lengths > prefix + suffix)
    closed = taken(batch, torch.ones_like(batch.input.own()), "delete", spec)
    assert closed.lengths.tolist() == [prefix + 1 + suffix] * len(batch)
    assert closed.tokens[:, : prefix + 1 + suffix].tolist() == [[*spec.prefix, spec.mask_id, *spec.suffix]] * len(batch)


def test_removed_words_of_a_pair_leave_what_stands_between():
    spec, batch = made("pair")
    own = batch.input.own()
    masked = taken(batch, torch.ones_like(own), "mask", spec)
    assert torch.equal(masked.tokens[~own], batch.input.tokens[~own])
    assert (masked.tokens[own] == spec.mask_id).all()
    gone = batch.input.segments == 0
    closed = taken(batch, gone, "delete", spec)
    for row in range(len(batch)):
        kept = batch.input.tokens[row, : batch.input.lengths[row]][~gone[row, : batch.input.lengths[row]]]
        assert closed.tokens[row, : closed.lengths[row]].tolist() == kept.tolist()
        assert set(closed.segments[row, : closed.lengths[row]].tolist()) == {-1, 1}


def test_removed_regions_take_the_mean_colour_or_blur():
    batch = pictures(1)
    gone = torch.tensor([[True, False, False, False]])
    masked = taken(batch, gone, "mask", PICTURE, (2, 2)).pixels
    assert (masked[0, 0, :2, :2] == 100).all()
    kept = torch.ones(4, 4, dtype=torch.bool)
    kept[:2, :2] = False
    pixels = batch.input.pixels[0, 0].float()
    assert torch.equal(masked[0, 0][kept], pixels[kept])
    blurred = taken(batch, gone, "blur", PICTURE, (2, 2)).pixels
    assert torch.equal(blurred[0, 0][kept], pixels[kept])
    assert blurred[0, 0, :2, :2].std() < pixels[:2, :2].std()
