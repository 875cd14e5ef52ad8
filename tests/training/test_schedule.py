"""The learning rate's course, against the shapes it must have."""

import pytest

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.training.schedule import ONECYCLE_START, factor


def options(**values):
    return compose.compose([f"optimizer.{key}={value}" for key, value in values.items()]).optimizer


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "onecycle", "wsd"])
def test_rises_to_the_highest_rate_at_the_end_of_warm_up(schedule):
    config = options(schedule=schedule, warmup=0.2, final=0.1)
    course = [factor(step, 100, config) for step in range(101)]
    assert course[19] == pytest.approx(1.0)
    assert course[:20] == sorted(course[:20])
    assert max(course) == pytest.approx(1.0)
    end = 1.0 if schedule == "constant" else 0.1
    assert course[100] == pytest.approx(end)
    assert factor(250, 100, config) == pytest.approx(end)


def test_halfway_values_are_those_of_the_formulas():
    assert factor(50, 100, options(schedule="linear", warmup=0, final=0)) == pytest.approx(0.5)
    assert factor(25, 100, options(schedule="cosine", warmup=0, final=0)) == pytest.approx((1 + 2**-0.5) / 2)
    assert factor(4, 100, options(schedule="linear", warmup=0.1)) == pytest.approx(0.5)
    middle = ONECYCLE_START + (1 - ONECYCLE_START) / 2
    assert factor(4, 100, options(schedule="onecycle", warmup=0.1)) == pytest.approx(middle)


def test_without_warm_up_the_first_step_has_the_highest_rate():
    for schedule in ("constant", "linear", "cosine", "onecycle"):
        assert factor(0, 10, options(schedule=schedule, warmup=0)) == pytest.approx(1.0)


def test_warm_up_stable_decay_holds_the_highest_rate_until_it_falls():
    config = options(schedule="wsd", warmup=0.1, decay=0.2, final=0)
    assert [factor(step, 100, config) for step in (10, 50, 80)] == [1.0, 1.0, 1.0]
    assert factor(90, 100, config) == pytest.approx(0.5)


def test_warm_up_and_decay_must_fit_into_the_run():
    with pytest.raises(UserError, match=r"optimizer\.decay=0\.9: leaves no time beside warmup=0\.2"):
        options(schedule="wsd", warmup=0.2, decay=0.9)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_muon_holds_norms(name):
    with pytest.raises(UserError, match=rf"optimizer\.hold_norm=True: is what muon can do, not {name}"):
        options(name=name, hold_norm=True)
