"""Regression: answers in the data's own unit, against numpy and scipy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import pearsonr, spearmanr  # comes with scikit-learn
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from attnpred.contracts import Batch, ModelOutput, pick
from attnpred.data.number_target import Numbers
from tests.tasks.made import make_task

ONE = Numbers(names=("score",), mean=(3.5,), deviation=(2.0,))
TWO = Numbers(names=("width", "height"), mean=(100.0, -1.0), deviation=(20.0, 0.5))


def labelled(numbers):
    return Batch(inputs={}, targets={"numbers": numbers}, ids=torch.arange(len(numbers)))


def drawn(spec, count=17, seed=0):
    """Answers and targets, standardised; they have something in common."""
    random = torch.Generator().manual_seed(seed)
    true = torch.randn(count, len(spec.names), generator=random)
    return 0.6 * true + 0.5 * torch.randn(count, len(spec.names), generator=random), true


def measured(task, answer, true, cuts=(5, 12)):
    metrics = task.metrics()
    for rows in torch.arange(len(answer)).tensor_split(cuts):
        task.update_metrics(metrics, ModelOutput(answer[rows]), labelled(true[rows]))
    return task.results(metrics, learn=True)


def in_unit(spec, numbers):
    return numbers.double().numpy() * np.array(spec.deviation) + np.array(spec.mean)


@pytest.mark.parametrize("spec", [ONE, TWO], ids=["one number", "two"])
def test_measures_are_of_the_datas_own_unit(spec):
    task = make_task("regression", spec)
    answer, true = drawn(spec)
    scalars, details = measured(task, answer, true)
    expected = []
    for a, t in zip(in_unit(spec, answer).T, in_unit(spec, true).T, strict=True):
        expected.append(
            {
                "mse": mean_squared_error(t, a),
                "mae": mean_absolute_error(t, a),
                "rmse": mean_squared_error(t, a) ** 0.5,
                "r2": r2_score(t, a),
                "pearson": pearsonr(a, t).statistic,
                "spearman": spearmanr(a, t).statistic,
            }
        )
    assert [one["name"] for one in details["numbers"]] == list(spec.names)
    for found, wanted in zip(details["numbers"], expected, strict=True):
        assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-5)
    means = {key: np.mean([one[key] for one in expected]) for key in expected[0]}
    assert {key: scalars[key].item() for key in means} == pytest.approx(means, rel=1e-5)
    assert scalars["loss"].item() == pytest.approx(((answer - true) ** 2).mean().item(), rel=1e-5)
    assert set(scalars) == set(task.config.metrics)
    assert details["examples"] == 17
    assert bool(task.tables(details, "test")) == (len(spec.names) > 1)


def test_numbers_without_spread_have_no_correlation():
    task = make_task("regression", ONE)
    answer, true = drawn(ONE)
    flat, _ = measured(task, torch.zeros_like(answer), true)
    assert (flat["pearson"], flat["spearman"]) == (0, 0)
    assert flat["r2"].item() == pytest.approx(r2_score(true[:, 0], np.zeros(17)), abs=1e-6)
    alike, _ = measured(task, answer, torch.ones_like(true))
    assert (alike["r2"], alike["pearson"], alike["spearman"]) == (0, 0, 0)
    single, _ = measured(task, answer[:1], true[:1], cuts=())
    assert all(value.isfinite() for value in single.values())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], F.mse_loss),
        (["task.loss=mae"], F.l1_loss),
        (["task.loss=huber", "task.huber_delta=0.3"], lambda a, t: F.huber_loss(a, t, delta=0.3)),
    ],
    ids=["mse", "mae", "huber"],
)
def test_losses(overrides, expected):
    answer, true = drawn(TWO)
    task = make_task("regression", TWO, *overrides)
    torch.testing.assert_close(task.loss(ModelOutput(answer), labelled(true)), expected(answer, true))
    scalars, _ = measured(task, answer, true)
    torch.testing.assert_close(scalars["loss"], expected(answer, true))


def test_the_curves_show_the_absolute_error_in_the_unit():
    answer, true = drawn(TWO)
    found = make_task("regression", TWO).figures(ModelOutput(answer), labelled(true))
    apart = np.abs(in_unit(TWO, answer) - in_unit(TWO, true))
    assert found["mae"].item() == pytest.approx(apart.mean(1).sum(), rel=1e-5)


def test_the_score_points_away_from_the_mean():
    task = make_task("regression", TWO)
    output = ModelOutput(torch.tensor([[0.5, -2.0], [1.5, 1.0], [-0.1, 0.0]]))
    choice = task.choose(output)
    assert choice.tolist() == [~1, 0, ~0]
    assert task.score(output, choice).tolist() == pytest.approx([2.0, 1.5, 0.1])
    assert [task.choice_name(one) for one in choice.tolist()] == [
        "height below its mean",
        "width above its mean",
        "width below its mean",
    ]
    # further below the mean is more of what was chosen, and less of the other direction
    lower = ModelOutput(output.answer - torch.tensor([[0.0, 1.0]]))
    assert task.score(lower, choice)[0] > task.score(output, choice)[0]
    assert torch.equal(pick(output.answer, ~choice), -pick(output.answer, choice))


def test_answers_are_described_in_the_unit():
    one, two = make_task("regression", ONE), make_task("regression", TWO)
    assert one.describe(ModelOutput(torch.tensor([[-1.0]]))) == [{"numbers": {"score": 1.5}}]
    assert one.headline({"numbers": {"score": 1.5}}) == ("1.5", None)
    [described] = two.describe(ModelOutput(torch.tensor([[0.25, 4.0]])))
    assert described == {"numbers": {"width": 105.0, "height": 1.0}}
    assert two.headline(described) == ("width 105, height 1", None)
    batch = labelled(torch.tensor([[0.5, 4.0]]))
    assert two.truths(batch) == ["width 110, height 1"]
    assert two.truths(Batch(inputs={}, targets={}, ids=torch.arange(2))) == [None, None]


def test_an_answer_is_wrong_more_than_a_deviation_away():
    task = make_task("regression", TWO)
    output = ModelOutput(torch.tensor([[0.0, 0.9], [0.0, -1.2], [3.0, 0.0]]))
    found = task.summaries(output, task.choose(output), labelled(torch.zeros(3, 2)))
    assert [one.wrong for one in found] == [False, True, True]
    assert [one.order for one in found] == pytest.approx([0.9, 1.2, 3.0])
    assert all(one.confidence is None for one in found)


def test_nothing_is_learned_of_validation():
    task = make_task("regression", ONE)
    measured(task, *drawn(ONE))
    assert task.state() == {}
    task.load_state({})
    with pytest.raises(ValueError, match="another task"):
        task.load_state({"thresholds": [0.5]})
