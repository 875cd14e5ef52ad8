import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnpred.config.compose import compose
from attnpred.errors import Diverged, UserError
from attnpred.tasks.classification import Classification
from attnpred.training.callbacks.checkpoints import Checkpoints
from attnpred.training.callbacks.divergence import BEGINNING, FAR, LONG, DivergenceCheck
from attnpred.training.callbacks.monitor import Monitor
from attnpred.training.learner import Learner
from tests.models.made import CLASSES, IMAGE, make_model
from tests.training.callbacks.made import fit, small_learner


class Spoilt(Classification):
    """Whose loss is `value` from the call `at` on."""

    def __init__(self, config, spec, at, value):
        super().__init__(config, spec)
        self.calls, self.at, self.value = 0, at, value

    def loss(self, output, batch):
        self.calls += 1
        return super().loss(output, batch) * (self.value if self.calls >= self.at else 1.0)


def run(tmp_path, at, value, *, every=5, **options):
    config = compose([])
    learner = Learner(
        make_model("resnet_attention", IMAGE), Spoilt(config.task, CLASSES["image"], at, value), compose([]).optimizer
    )
    monitor = Monitor(every, config.checkpoint)
    guard = DivergenceCheck(monitor, every)
    saved = Checkpoints(tmp_path, config.checkpoint, guard.sound)
    with pytest.raises(UserError) as error:
        fit([guard, monitor, saved], epochs=3, batches=6, learner=learner, **options)
    return str(error.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_names_the_step_and_what_was_finite_before(tmp_path, value):
    message = run(tmp_path, 9, value)
    assert message.startswith(f"the loss became {value} at step 9 (last finite values: train/loss ")
    assert "grad_norm" in message
    assert "lower optimizer.lr" in message
    assert "\n" not in message


def test_what_was_saved_before_stays(tmp_path):
    run(tmp_path, 9, math.nan)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert state["global_step"] == 6
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())
    assert (tmp_path / "best.ckpt").is_file()


def test_the_step_is_an_optimizer_step(tmp_path):
    assert " at step 5 " in run(tmp_path, 9, math.nan, accumulate=2)


def test_a_bad_first_step_has_nothing_before_it(tmp_path):
    message = run(tmp_path, 1, math.nan, every=1)
    assert message.startswith("the loss became nan at step 1; what was saved")


def test_a_gradient_without_a_number_is_told_from_the_loss(tmp_path):
    config = compose([])
    learner = small_learner(config)
    learner.model.head.weight.register_hook(lambda gradient: gradient * math.nan)
    monitor = Monitor(1, config.checkpoint)
    with pytest.raises(UserError, match="the gradient's norm became nan at step 1"):
        fit([DivergenceCheck(monitor, 1), monitor], epochs=1, batches=3, learner=learner)


def test_weights_without_a_number_are_not_saved(tmp_path):
    config = compose([])
    learner = small_learner(config)
    guard = DivergenceCheck(Monitor(50, config.checkpoint), 50)
    trainer = SimpleNamespace(global_step=7, accumulate_grad_batches=1)
    assert guard.sound(trainer, learner)
    with torch.no_grad():
        learner.model.head.weight[0, 0] = math.nan
    with pytest.raises(Diverged, match="the weights became NaN or infinite at step 7"):
        guard.sound(trainer, learner)


def followed(losses, guard=None):
    """The guard after looks at these losses, ten at a time, and where it ended the run."""
    config = compose([])
    learner = small_learner(config)
    guard = guard or DivergenceCheck(Monitor(10, config.checkpoint), 10)
    for start in range(0, len(losses), 10):
        some = losses[start : start + 10]
        learner.steps = [(torch.tensor(loss), {"accuracy": torch.tensor(1.0)}, 4) for loss in some]
        try:
            guard.check(SimpleNamespace(global_step=start + len(some), accumulate_grad_batches=1), learner)
        except Diverged as error:
            return guard, error
    return guard, None


@pytest.mark.parametrize("begun_with", [0.01, 2.3, 500.0])
def test_a_loss_that_leaves_all_measure_ends_the_run(begun_with):
    far = 2 * FAR * max(begun_with, 1.0)
    _, error = followed([begun_with] * 50 + [far] * (LONG + 50))
    assert error.step == 50 + LONG
    assert f"times what the run began with, for {LONG} batches at step {50 + LONG} " in str(error)


def test_it_ends_a_run_that_diverged_from_the_first_step():
    grown = [2.3 * 1.2**i for i in range(BEGINNING + LONG + 20)]
    assert followed(grown)[1] is not None


def test_a_healthy_run_however_noisy_is_left_alone():
    random = np.random.default_rng(0)
    falling = 2.3 * np.exp(-np.arange(2000) / 300) * random.lognormal(0, 1.5, 2000)
    spikes = np.where(random.random(2000) < 0.3, 1e4, falling)  # three in ten batches far off
    stuck = np.full(2000, 15.0) * random.lognormal(0, 0.1, 2000)  # bad, but no worse than at first times six
    for losses in (falling, spikes, np.concatenate([[2.3] * 30, stuck])):
        assert followed(losses.tolist())[1] is None


def test_what_is_high_is_nothing_to_go_on_from_and_is_counted_on():
    guard, _ = followed([2.3] * 30)
    assert guard.high == 0
    guard, _ = followed([1e3] * 60, guard)
    state = guard.state_dict()
    resumed = DivergenceCheck(Monitor(10, compose([]).checkpoint), 10)
    resumed.load_state_dict(state)
    assert resumed.high == 60
    _, error = followed([1e3] * LONG, resumed)
    assert error.step == LONG - 60
