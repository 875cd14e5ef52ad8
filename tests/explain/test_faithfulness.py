"""Measures of faithfulness, against models whose answers to every removal can be worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr  # comes with scikit-learn

from attnpred.contracts import AnswerSpec, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.explain import faithfulness, truth
from attnpred.explain.base import own_parts
from attnpred.explain.removal import Removing, check
from attnpred.models.base import Model
from attnpred.statistics import interval
from tests.explain.made import CLASSES, OPTIONS, PICTURE, SPEC, Mixer, texts
from tests.models.made import wrapped
from tests.tasks.made import classification


class Counter(Model):
    """The odds of `yes` double with every token 2 that is there."""

    def __init__(self):
        super().__init__(OPTIONS, ModelSpec({"text": SPEC}, AnswerSpec(2)))

    def entrance(self):
        return self

    def forward(self, batch, *, need_attention=False, need_layers=True, choice=None):
        there = (batch.input.tokens == 2).sum(1) * torch.log(torch.tensor(2.0))
        return ModelOutput(torch.stack((torch.zeros_like(there), there), dim=1))


def removing(model, how="mask"):
    return Removing(model, classification(CLASSES), how)


def p(twos):
    return 2**twos / (1 + 2**twos)


TEN = texts([2, 2, 3, 3, 3, 3, 3, 3, 3, 3], [2, 3])
TARGET = torch.tensor([1, 1])
RIGHT = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05], [0.6, 0.4, 0, 0, 0, 0, 0, 0, 0, 0]])


def test_the_area_over_the_perturbation_curve():
    found = faithfulness.measure(removing(Counter()), TEN, TARGET, RIGHT, (None,))
    # of ten parts 1, 1, 1, 2 and 5 are taken; of two parts 1 each time
    falls = [p(2) - p(1)] * 3 + [p(2) - p(0)] * 2
    np.testing.assert_allclose(found.comprehensiveness, [np.mean(falls), p(1) - p(0)], rtol=1e-5)
    stays = [p(2) - p(1)] * 3 + [0, 0]
    np.testing.assert_allclose(found.sufficiency, [np.mean(stays), 0], rtol=1e-5, atol=1e-6)
    brief = faithfulness.brief(removing(Counter()), TEN, TARGET, RIGHT, (None,))
    for name, values in brief.items():
        torch.testing.assert_close(values, getattr(found, name))


def test_deletion_and_insertion():
    found = faithfulness.measure(removing(Counter()), TEN, TARGET, RIGHT, (None,))
    np.testing.assert_allclose(found.deletion[0], [p(2), p(1), *[p(0)] * 9], rtol=1e-5)
    np.testing.assert_allclose(found.insertion[0], [p(0), p(1), *[p(2)] * 9], rtol=1e-5)
    wrong = faithfulness.measure(removing(Counter()), TEN, TARGET, -RIGHT, (None,))
    np.testing.assert_allclose(wrong.deletion[0], [*[p(2)] * 9, p(1), p(0)], rtol=1e-5)
    scores = found.scores()
    heights = found.deletion[0].numpy()
    np.testing.assert_allclose(scores["deletion"][0], (heights[1:] + heights[:-1]).sum() / 20, rtol=1e-5)
    assert scores["deletion"][0] < wrong.scores()["deletion"][0]
    assert scores["insertion"][0] > wrong.scores()["insertion"][0]


def test_deleting_is_another_removal():
    asked = (removing(Mixer(10), how) for how in ("mask", "delete"))
    masked, deleted = (faithfulness.measure(r, TEN, TARGET, RIGHT, (None,)).comprehensiveness for r in asked)
    assert (masked - deleted).abs().min() > 1e-4


def test_removals_belong_to_a_kind_of_input():
    assert check(None, wrapped(SPEC)) == check(None, wrapped(PICTURE)) == "mask"
    with pytest.raises(UserError, match="removal=blur: not for a model that reads text; use mask or delete"):
        check("blur", wrapped(SPEC))
    with pytest.raises(UserError, match="removal=delete: not for a model that reads image; use mask or blur"):
        check("delete", wrapped(PICTURE))


def test_rank_correlation_is_spearmans_over_own_parts():
    batch = texts([2] * 6, [2] * 4)
    one = torch.tensor([[0.1, 0.4, 0.4, 0.2, 0.0, 0.9], [3.0, 1.0, 2.0, 4.0, 99.0, -99.0]])
    other = torch.tensor([[1.0, 0.5, 0.7, 0.7, 0.1, 0.8], [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]])
    expected = [spearmanr(a[:n], b[:n]).statistic for a, b, n in zip(one.numpy(), other.numpy(), (6, 4), strict=True)]
    np.testing.assert_allclose(faithfulness.rank_correlation(one, other, own_parts(batch)), expected, rtol=1e-6)
    flat = torch.ones(2, 6)
    assert faithfulness.rank_correlation(one, flat, own_parts(batch)).tolist() == [0, 0]


def test_scores_where_the_truth_is_known():
    importance = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    evidence = torch.tensor([[True, False, True, False], [True, False, False, False], [False] * 4])
    found = truth.scores(importance, evidence)  # the last has nothing to find
    assert found["pointing"].tolist() == [1, 0]
    np.testing.assert_allclose(found["precision_recall"], [(1 + 2 / 3) / 2, 1 / 4], rtol=1e-6)
    np.testing.assert_allclose(found["overlap"], [1 / 3, 0])


def test_an_interval_holds_the_mean_and_narrows():
    random = np.random.default_rng(0)
    few, many = (interval(random.normal(3, 1, count)) for count in (20, 2000))
    for found in (few, many):
        assert found.low < found.mean < found.high
    assert few.high - few.low > 5 * (many.high - many.low)
    # as theory has it for a mean: 1.96 standard errors either way
    assert many.high - many.low == pytest.approx(2 * 1.96 / 2000**0.5, rel=0.1)
