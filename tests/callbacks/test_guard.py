import math

import pytest
import torch

from attnpred.callbacks.checkpoints import Checkpoints
from attnpred.callbacks.guard import Guard
from attnpred.callbacks.monitor import Monitor
from attnpred.compose import compose
from attnpred.errors import UserError
from attnpred.learner import Learner
from attnpred.tasks.classification import Classification
from tests.callbacks.made import fit
from tests.models.made import IMAGE, make_model


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
        make_model("resnet_attention", IMAGE), Spoilt(config.task, IMAGE, at, value), compose([]).optimizer
    )
    monitor = Monitor(every, config.checkpoint)
    guard = Guard(monitor, every)
    saved = Checkpoints(tmp_path, config.checkpoint, guard.check)
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
    learner = Learner(make_model("resnet_attention", IMAGE), Classification(config.task, IMAGE), config.optimizer)
    learner.model.head.weight.register_hook(lambda gradient: gradient * math.nan)
    monitor = Monitor(1, config.checkpoint)
    with pytest.raises(UserError, match="the gradient's norm became nan at step 1"):
        fit([Guard(monitor, 1), monitor], epochs=1, batches=3, learner=learner)
