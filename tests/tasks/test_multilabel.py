"""Several labels a row: thresholds by brute force, measures against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from torch.nn.functional import binary_cross_entropy_with_logits

from attnpred.contracts import Batch, ModelOutput
from attnpred.data.labels_target import LabelSet
from attnpred.errors import UserError
from attnpred.tasks.multilabel import best_threshold
from tests.tasks.made import make_task

SPEC = LabelSet(labels=("red", "green", "blue"), counts=(10, 50, 80), rows=100)


def labelled(true):
    return Batch(inputs={}, targets={"labels": true.float()}, ids=torch.arange(len(true)))


def drawn(count=40, seed=0, spec=SPEC):
    """Logits and labels, of which the first are rare and thresholds of a half are not the best."""
    random = torch.Generator().manual_seed(seed)
    true = torch.rand(count, len(spec.labels), generator=random) < torch.tensor([0.2, 0.5, 0.7])
    return 1.5 * true - 2 + torch.randn(true.shape, generator=random), true


def measured(task, answer, true, *, learn):
    metrics = task.metrics()
    for rows in torch.arange(len(answer)).tensor_split((7, 30)):
        task.update_metrics(metrics, ModelOutput(answer[rows]), labelled(true[rows]))
    return task.results(metrics, learn=learn)


def by_force(chances, true):
    """The highest F1 of any threshold."""
    return max(f1_score(true, chances >= t, zero_division=0) for t in chances)


@pytest.mark.parametrize("seed", range(6))
def test_thresholds_are_the_best_of_all(seed):
    task = make_task("multilabel", SPEC)
    answer, true = drawn(seed=seed)
    measured(task, answer, true, learn=True)
    chances = answer.sigmoid().numpy()
    for i, threshold in enumerate(task.thresholds):
        found = f1_score(true[:, i], chances[:, i] >= threshold, zero_division=0)
        assert found == pytest.approx(by_force(chances[:, i], true[:, i].numpy()))


@pytest.mark.parametrize("seed", range(20))
def test_equal_chances_are_on_one_side(seed):
    random = np.random.default_rng(seed)
    chances = random.integers(0, 4, 12).astype(np.float32) / 4
    true = random.random(12) < 0.5
    if not true.any():
        true[0] = True
    found = best_threshold(chances, true)
    assert f1_score(true, chances >= found) == pytest.approx(by_force(chances, true))


def test_neighbouring_chances_are_told_apart():
    low = np.nextafter(np.float32(1), np.float32(0))
    chances = np.array([low, np.nextafter(low, np.float32(0))], np.float32)
    found = np.float32(best_threshold(chances, np.array([True, False])))
    assert (chances >= found).tolist() == [True, False]


def test_a_label_that_no_row_has_keeps_its_threshold():
    assert best_threshold(np.array([0.1, 0.9]), np.array([False, False])) == 0.5


def test_thresholds_are_learned_of_validation_alone():
    task = make_task("multilabel", SPEC)
    answer, true = drawn()
    measured(task, answer, true, learn=False)
    assert task.thresholds == [0.5] * 3
    measured(task, answer, true, learn=True)
    assert 0.5 not in task.thresholds


def test_measures_agree_with_scikit_learn():
    task = make_task("multilabel", SPEC)
    measured(task, *drawn(), learn=True)
    answer, true = drawn(seed=1)
    scalars, details = measured(task, answer, true, learn=False)
    chances = answer.sigmoid().numpy()
    said = chances >= np.array(task.thresholds, np.float32)
    expected = {
        "macro_f1": f1_score(true, said, average="macro"),
        "micro_f1": f1_score(true, said, average="micro"),
        "mean_average_precision": average_precision_score(true, chances, average="macro"),
        "exact_match": accuracy_score(true, said),
        "loss": binary_cross_entropy_with_logits(answer, true.float()).item(),
    }
    assert {key: float(value) for key, value in scalars.items()} == pytest.approx(expected, rel=1e-5)
    assert set(scalars) == set(task.config.metrics)
    assert [one["f1"] for one in details["labels"]] == pytest.approx(f1_score(true, said, average=None).tolist())
    assert [one["threshold"] for one in details["labels"]] == task.thresholds
    assert [one["support"] for one in details["labels"]] == true.sum(0).tolist()
    assert task.tables(details, "test")[0].startswith("test by label")


def test_a_label_that_the_split_lacks_changes_no_mean():
    task = make_task("multilabel", SPEC)
    answer, true = drawn()
    answer[:, 0], true[:, 0] = -9.0, False
    scalars, _ = measured(task, answer, true, learn=False)
    chances, rest = answer.sigmoid()[:, 1:], true[:, 1:]
    assert float(scalars["mean_average_precision"]) == pytest.approx(average_precision_score(rest, chances))
    assert float(scalars["macro_f1"]) == pytest.approx(f1_score(rest, chances >= 0.5, average="macro"))


@pytest.mark.parametrize(
    ("asked", "weights"), [("null", None), ("balanced", [9.0, 1.0, 0.25]), ("[1,2,3]", [1.0, 2.0, 3.0])]
)
def test_weights_of_the_rows_that_have_a_label(asked, weights):
    answer, true = drawn()
    task = make_task("multilabel", SPEC, f"task.class_weights={asked}")
    chances = answer.double().sigmoid()
    positive = torch.ones(3) if weights is None else torch.tensor(weights)
    expected = -torch.where(true, positive * chances.log(), (1 - chances).log()).mean()
    assert task.loss(ModelOutput(answer), labelled(true)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"holds 2 weights; give 3, for red, green, blue"):
        make_task("multilabel", SPEC, "task.class_weights=[1,2]")
    always = LabelSet(labels=("red", "green"), counts=(0, 5), rows=5)
    with pytest.raises(UserError, match="all rows, or none, have red, green; give a list"):
        make_task("multilabel", always, "task.class_weights=balanced")


def test_what_was_learned_is_kept():
    task, other = make_task("multilabel", SPEC), make_task("multilabel", SPEC)
    measured(task, *drawn(), learn=True)
    other.load_state(task.state())
    assert other.thresholds == task.thresholds
    for bad in ({}, {"thresholds": [0.5]}, {"thresholds": [0.5, 0.5, "x"]}):
        with pytest.raises(ValueError, match="threshold"):
            other.load_state(bad)


def test_answers_name_the_labels_above_their_thresholds():
    task = make_task("multilabel", SPEC)
    task.load_state({"thresholds": [0.9, 0.2, 0.5]})
    output = ModelOutput(torch.tensor([[0.8, 0.3, 0.1], [0.95, 0.1, 0.7]]).logit())
    first, second = task.describe(output)
    assert (first["labels"], second["labels"]) == (["green"], ["red", "blue"])
    assert second["probabilities"] == pytest.approx({"red": 0.95, "green": 0.1, "blue": 0.7})
    assert task.headline(first)[0] == "green"
    assert task.headline({"labels": [], "probabilities": first["probabilities"]})[0] == "none"
    found = task.summaries(output, task.choose(output), labelled(torch.tensor([[0, 1, 0], [1, 0, 0]])))
    assert [one.true for one in found] == ["green", "red"]
    assert [one.wrong for one in found] == [False, True]
    assert [one.explained for one in found] == ["red", "red"]


def test_what_speaks_against_a_label_is_a_choice():
    task = make_task("multilabel", SPEC)
    output = ModelOutput(torch.tensor([[1.0, -2.0, 0.5]]))
    assert task.score(output, torch.tensor([~1])).item() == pytest.approx(torch.tensor(2.0).sigmoid().item())
    assert task.score(output, torch.tensor([1]), linear=True).item() == -2
    assert task.choice_name(~1) == "not green"
