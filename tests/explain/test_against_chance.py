"""The paired tests of explainers against one that orders parts at random."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from attnpred.console.tables import against_random
from attnpred.explain.against_chance import FLOOR, against_chance, by_explainer


def examples(**columns):
    return [
        {name: {"insertion": value} for name, value in zip(columns, row, strict=True) if value is not None}
        for row in zip(*columns.values(), strict=True)
    ]


def test_a_small_gain_on_every_example_shows_though_examples_differ_much():
    random = np.random.default_rng(0)
    floor = random.uniform(0, 1, 100)
    better, same = floor + random.normal(0.03, 0.05, 100), floor + random.normal(0.0, 0.05, 100)
    tests = against_chance(by_explainer(examples(better=better, same=same, **{FLOOR: floor})))
    assert tests["better"]["insertion"]["p"] < 0.001
    assert against_random("insertion", tests["better"]["insertion"]) == "better than random"
    assert against_random("deletion", tests["better"]["insertion"]) == "worse than random"
    assert against_random("insertion", tests["same"]["insertion"]) == "no difference from random shown"
    # corrected for two
    assert tests["better"]["insertion"]["p"] == pytest.approx(2 * ttest_rel(better, floor).pvalue)
    found = tests["better"]["insertion"]
    assert found["difference"] == pytest.approx(np.mean(better - floor))
    assert found["low"] < found["difference"] < found["high"]


def test_only_examples_that_both_were_measured_on_count():
    tests = against_chance(by_explainer(examples(one=[0.1, 0.5, None, 0.9], random=[0.0, 0.2, 5.0, None])))
    assert tests["one"]["insertion"]["examples"] == 2
    assert tests["one"]["insertion"]["difference"] == pytest.approx(0.2)


def test_what_is_alike_differs_nowhere_and_what_always_differs_does():
    tests = against_chance(by_explainer(examples(alike=[0.0] * 9, right=[1.0] * 9, random=[0.0] * 9)))
    assert tests["alike"]["insertion"]["p"] is None
    assert against_random("insertion", tests["alike"]["insertion"]) == "no difference from random shown"
    assert tests["right"]["insertion"]["p"] == 2.0**-8
    assert against_chance(by_explainer(examples(one=[1.0], random=[0.0]))) == {}
