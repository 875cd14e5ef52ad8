import json
import math
from types import SimpleNamespace

import pytest
import yaml

from attnpred.pages.plot import curve
from attnpred.training import find_rate
from tests.data.made import image_data
from tests.runs.test_records import cache, train  # noqa: F401  fixtures


@pytest.mark.parametrize(("what", "option"), [("lr", "optimizer.lr"), ("batch_size", "data.batch_size")])
def test_a_run_trains_with_what_was_found(train, what, option):  # noqa: F811
    run = train(f"trainer.find={what}", "trainer.limit_batches=3", "trainer.max_epochs=1")
    found = json.loads((run / "found" / "points.json").read_text())
    assert found["option"] == option
    assert len(found["points"]) > 1
    group, _, name = option.partition(".")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config[group][name] == found["choice"]
    assert config["trainer"]["find"] is None  # found once: a run that is resumed looks no more
    assert (run / "found" / "curve.svg").read_text().startswith("<svg")


class Falls:
    """A trial whose loss is given at each rate."""

    def __init__(self, loss):
        self.loss = loss

    def step(self, batch, rate):
        return self.loss(rate)


def test_batches_are_tried_as_the_last_epoch_shows_them():
    """The first may show smaller images, by which no batch size can be told."""

    def augment(batch, epoch):
        raise LookupError(f"epoch {epoch}")

    trial = object.__new__(find_rate.Trial)
    trial.device, trial.learner = "cpu", SimpleNamespace(augment=augment)
    trial.config = SimpleNamespace(trainer=SimpleNamespace(max_epochs=7))
    with pytest.raises(LookupError, match=r"^epoch 6$"):
        trial.step(SimpleNamespace(to=lambda device: None), 0.1)


def test_the_rate_is_where_the_loss_falls_fastest():
    def loss(rate):
        return 3 - 2 / (1 + (1e-3 / rate) ** 2) if rate < 1 else math.nan

    points, choice = find_rate.find_rate(Falls(loss), iter(range(1000)), 0.5)
    assert 1e-3 < choice < 1e-2  # smoothing comes a few steps late
    assert points[-1][0] < 1
    assert all(math.isfinite(value) for _, value in points)


def test_a_loss_that_falls_nowhere_leaves_the_rate_as_it_was():
    assert find_rate.find_rate(Falls(lambda rate: 1 + rate), iter(range(1000)), 0.5)[1] == 0.5
    assert find_rate.find_rate(Falls(lambda rate: math.nan), iter(range(1000)), 0.5)[1] == 0.5


def test_batch_sizes_double_until_they_bring_no_speed(monkeypatch):
    from attnpred.config import compose

    config = compose.compose([])
    data = image_data(config.data)
    speeds = iter([100.0, 150.0, 155.0])
    monkeypatch.setattr(find_rate, "_speed", lambda trial, stream: next(speeds))
    first = config.data.batch_size
    points, choice = find_rate.find_batch_size(None, data, config)
    assert points == [(first, 100.0), (2 * first, 150.0), (4 * first, 155.0)]
    assert choice == 2 * first


def test_a_curve_of_one_point_can_be_drawn():
    assert "<polyline" in curve([(1.0, 2.0)], 1.0, x="a < b", y="y")
    assert "a &lt; b" in curve([], 1.0, x="a < b", y="y")
