"""The objective and the measures of classification, against their definitions."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy, kl_div

from attnpred.contracts import Batch, ModelOutput
from attnpred.data.class_target import Classes
from attnpred.errors import UserError
from attnpred.training.learner import Learner
from tests.models.made import CLASSES, TEXT, make_model, text_batch
from tests.tasks.made import classification


def task(*overrides):
    return classification(CLASSES["text"], *overrides)


def test_label_smoothing_spreads_the_target():
    batch = text_batch()
    logits = torch.randn(len(batch), 2)
    target = torch.full((len(batch), 2), 0.1)
    target[torch.arange(len(batch)), batch.targets["label"]] = 0.9
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task("task.label_smoothing=0.2").loss(ModelOutput(logits), batch), expected)


def test_two_answers_to_one_example_are_asked_to_agree():
    once = text_batch()
    twice = task("task.consistency=3").seen(once)
    assert torch.equal(twice.input.tokens, torch.cat((once.input.tokens, once.input.tokens)))
    first, second = torch.randn(2, len(once), 2)
    p, q = first.log_softmax(1), second.log_softmax(1)
    apart = sum(kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((p, q), (q, p))) / 2
    expected = (
        cross_entropy(first, once.targets["label"]) + cross_entropy(second, once.targets["label"])
    ) / 2 + 3 * apart
    torch.testing.assert_close(
        task("task.consistency=3").loss(ModelOutput(torch.cat((first, second))), twice), expected
    )
    assert task().seen(once) is once


def test_an_example_that_is_answered_twice_counts_once():
    torch.manual_seed(0)
    learner = Learner(make_model("transformer", TEXT, dropout=0.5), task("task.consistency=1")).train()
    batch = text_batch()
    first, second = learner.model(learner.task.seen(batch)).answer.chunk(2)
    assert not torch.equal(first, second)
    learner.training_step(batch, 0)
    assert learner.steps[0][2] == len(batch)
    learner.model.eval()  # nothing dropped: the answers agree, and being right twice is being right
    logits = learner.model(batch).answer
    # over as many terms as there are answers: the mean of half of them need not round alike on every processor
    assert learner.training_step(batch, 0) == cross_entropy(logits.repeat(2, 1), batch.targets["label"].repeat(2))
    assert learner.steps[1][1]["accuracy"] == (logits.argmax(1) == batch.targets["label"]).sum()


RARE = Classes(classes=("a", "b", "c"), counts=(60, 30, 10))
ANSWER = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 2, 1, 0, 0, 1])


def labelled(labels=LABELS):
    return Batch(inputs={}, targets={"label": labels}, ids=torch.arange(len(labels)))


def loss(spec, *overrides, answer=ANSWER, labels=LABELS):
    return classification(spec, *overrides).loss(ModelOutput(answer), labelled(labels))


def test_balanced_weights_give_each_class_the_same_in_all():
    each = np.repeat(np.arange(3), RARE.counts)
    weights = torch.from_numpy(compute_class_weight("balanced", classes=np.arange(3), y=each)).float()
    expected = cross_entropy(ANSWER, LABELS, weight=weights)
    torch.testing.assert_close(loss(RARE, "task.class_weights=balanced"), expected)
    assert not torch.isclose(expected, loss(RARE), rtol=1e-3)


def test_weights_can_be_listed():
    expected = cross_entropy(ANSWER, LABELS, weight=torch.tensor([1.0, 2.5, 7.0]))
    torch.testing.assert_close(loss(RARE, "task.class_weights=[1,2.5,7]"), expected)


def test_a_list_of_another_length_is_refused():
    with pytest.raises(UserError, match=r"task.class_weights=\[1.0, 2.0\]: holds 2 weights; give 3, for a, b, c"):
        classification(RARE, "task.class_weights=[1,2]")


@pytest.mark.parametrize(("counts", "missing"), [((5, 0, 5), "of b;"), ((), "of known classes;")])
def test_a_class_without_examples_cannot_be_balanced(counts, missing):
    with pytest.raises(UserError, match=f"task.class_weights=balanced: the train part has no example {missing}"):
        classification(Classes(classes=("a", "b", "c"), counts=counts), "task.class_weights=balanced")


@pytest.mark.parametrize("weighed", [False, True])
def test_the_focal_loss_is_its_formula(weighed):
    overrides = ["task.class_weights=balanced"] if weighed else []
    chances = ANSWER.double().softmax(1).numpy()
    weights = np.array([100 / (3 * count) for count in RARE.counts]) if weighed else np.ones(3)
    p, w = chances[np.arange(8), LABELS], weights[LABELS]
    expected = (w * -((1 - p) ** 2.5) * np.log(p)).sum() / w.sum()
    assert loss(RARE, "task.focal=2.5", *overrides).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", ["null", "balanced"])
def test_a_focal_loss_of_nothing_is_the_cross_entropy(weights):
    chosen = f"task.class_weights={weights}"
    torch.testing.assert_close(loss(RARE, "task.focal=1e-9", chosen), loss(RARE, chosen), rtol=1e-5, atol=1e-6)
    assert loss(RARE, "task.focal=2", chosen) < loss(RARE, chosen)


def test_a_focal_loss_of_mixed_targets():
    mixed = torch.tensor([[0.7, 0.3, 0.0]] * 8)
    torch.testing.assert_close(loss(RARE, "task.focal=1e-9", labels=mixed), cross_entropy(ANSWER, mixed))


def test_a_sure_answer_has_a_finite_slope():
    answer = torch.tensor([[100.0, -100.0, 0.0]], requires_grad=True)
    loss(RARE, "task.focal=0.5", answer=answer, labels=torch.tensor([0])).backward()
    assert answer.grad.isfinite().all()


def test_measures_agree_with_scikit_learn():
    task = classification(RARE, "task.class_weights=balanced")
    metrics = task.metrics()
    for rows in (slice(0, 5), slice(5, 8)):
        task.update_metrics(metrics, ModelOutput(ANSWER[rows]), labelled(LABELS[rows]))
    scalars, details = task.results(metrics, learn=True)
    said = ANSWER.argmax(1)
    assert scalars["accuracy"].item() == pytest.approx(accuracy_score(LABELS, said))
    assert scalars["f1"].item() == pytest.approx(f1_score(LABELS, said, average="macro", zero_division=0))
    assert scalars["loss"].item() == pytest.approx(log_loss(LABELS, ANSWER.softmax(1).double()), rel=1e-5)
    assert set(scalars) == set(task.config.metrics)
    assert [one["weight"] for one in details["classes"]] == pytest.approx([100 / 180, 100 / 90, 100 / 30])
    assert "weight" in task.tables(details, "test")[0].splitlines()[0]


def test_a_missing_class_changes_no_mean():
    task = classification(RARE)
    metrics = task.metrics()
    labels = torch.tensor([0, 0, 1])
    task.update_metrics(metrics, ModelOutput(torch.eye(3)[labels] * 9), labelled(labels))
    assert task.results(metrics, learn=False)[0]["f1"] == 1
