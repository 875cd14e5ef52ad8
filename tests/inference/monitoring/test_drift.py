"""Measures of drift: silent between samples of one kind, loud between two, and none that needs what is not there."""

import numpy as np
import pytest

from attnpred.inference.monitoring.drift import compare, mmd
from attnpred.inference.monitoring.rows import CONFIDENCE, LABEL, WRONG, Rows, from_dicts, together


def rows(count=300, *, seed=0, shift=0.0, good=0.5, sure=0.8, right=0.8, moved=0.0, width=6):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, width)).astype(np.float32)
    vectors[:, 0] += moved
    return Rows(
        {
            "input: length": random.normal(shift, 1, count),
            "attention: place": random.random(count),
            CONFIDENCE: random.normal(sure, 0.05, count).clip(0, 1),
            WRONG: (random.random(count) > right).astype(float),
        },
        {LABEL: ["good" if one < good else "bad" for one in random.random(count)]},
        vectors,
    )


def alarms(*given, **how):
    return {one.name for one in compare(*given, **how) if one.alarm}


def test_samples_of_one_kind_give_no_alarm():
    given = [compare(rows(seed=0), rows(seed=seed)) for seed in range(1, 11)]
    assert sum(one.alarm for found in given for one in found) == 0
    assert {one.name for one in given[0]} == {
        "input: length",
        "attention: place",
        CONFIDENCE,
        "answer: calibration",
        "answer: label shares",
        "embedding: MMD",
        "embedding: domain classifier",
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"shift": 1.0}, {"input: length"}),
        ({"good": 0.9}, {"answer: label shares"}),
        ({"moved": 1.5}, {"embedding: MMD", "embedding: domain classifier"}),
        ({"right": 0.5}, {"answer: calibration"}),
    ],
)
def test_each_measure_finds_its_own_change(change, named):
    assert alarms(rows(seed=0), rows(seed=1, **change)) == named


def test_a_difference_that_is_certain_and_small_gives_no_alarm():
    before, now = rows(20_000, seed=0), rows(20_000, seed=1, shift=0.1)
    [length] = [one for one in compare(before, now) if one.name == "input: length"]
    assert length.corrected < 1e-6
    assert not length.alarm
    assert "input: length" in alarms(before, now, least=0.1)


def test_a_difference_that_is_large_by_chance_gives_no_alarm():
    for seed in range(5):
        assert alarms(rows(seed=0), rows(25, seed=seed + 1)) == set()


def test_what_one_side_lacks_is_left_out():
    bare = Rows({"input: length": np.zeros(50)}, {})
    assert [one.name for one in compare(rows(), bare)] == ["input: length"]
    assert compare(rows(), rows(5)) == []
    unknown = rows().with_number(WRONG, [np.nan] * 300)
    assert "answer: calibration" not in {one.name for one in compare(rows(), unknown)}


def test_classes_that_are_new_are_seen():
    other = rows(seed=1)
    other = Rows(other.numbers, {LABEL: ["ugly"] * 300}, other.vectors)
    [shares] = [one for one in compare(rows(), other, pictures=True) if one.test == "shares"]
    assert shares.alarm
    assert shares.effect == pytest.approx(1.0)
    assert "ugly" in shares.histogram["names"]


def test_p_of_the_kernel_is_uniform_where_there_is_no_difference():
    random = np.random.default_rng(3)
    ps = []
    for _ in range(60):
        sides = random.normal(size=(2, 40, 4)).astype(np.float32)
        ps.append(mmd(sides[0], sides[1])[1])
    assert 0.3 < np.mean(ps) < 0.7
    assert min(ps) < 0.2
    assert max(ps) > 0.8


def test_rows_survive_the_way_through_plain_containers():
    given = rows(30)
    again = from_dicts(given.as_dicts(digits=9))
    assert again.labels == given.labels
    for name, values in given.numbers.items():
        np.testing.assert_allclose(again.numbers[name], values, rtol=1e-6)
    np.testing.assert_allclose(again.vectors, given.vectors, rtol=1e-5)
    whole = together([given, given.taken(np.arange(5))])
    assert len(whole) == 35
    assert together([given, Rows(given.numbers, {})]).vectors is None


@pytest.mark.parametrize(
    "bad",
    [[{"a": [1]}], [{"a": "x"}, {"a": 1}], [{"vector": ["x"]}], [{"vector": [1.0]}, {"vector": [1.0, 2.0]}], [7]],
)
def test_rows_of_a_stranger_are_checked(bad):
    with pytest.raises(ValueError, match=r"."):
        from_dicts(bad)
