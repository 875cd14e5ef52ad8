import pytest
import torch
from pytorch_lightning import Callback

from attnpred.training.callbacks.ema import TRAINED, WeightAverage
from tests.training.callbacks.made import fit


class Watch(Callback):
    """The weights after each step and in each validation."""

    def __init__(self):
        self.trained, self.validated = [], []

    def on_train_batch_end(self, trainer, learner, *rest):
        self.trained.append(learner.model.head.weight.detach().clone())

    def on_validation_batch_start(self, trainer, learner, *rest):
        self.validated.append(learner.model.head.weight.detach().clone())


def test_the_average_follows_the_weights_and_is_what_is_validated_and_saved(tmp_path):
    watch, average = Watch(), WeightAverage(0.5)
    start, trainer, learner = fit([average, watch], epochs=2, batches=3)
    expected = start["head.weight"]
    for step, weight in enumerate(watch.trained, 1):
        expected = torch.lerp(expected, weight, 1 - min(0.5, (1 + step) / (10 + step)))
        if step == 3:
            torch.testing.assert_close(watch.validated[0], expected)
    torch.testing.assert_close(watch.validated[-1], expected)
    torch.testing.assert_close(learner.model.head.weight, watch.trained[-1])
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    saved = torch.load(tmp_path / "it.ckpt", weights_only=True)
    torch.testing.assert_close(saved["state_dict"]["model.head.weight"], expected)
    torch.testing.assert_close(saved[TRAINED]["model.head.weight"], watch.trained[-1])
    assert all(name.startswith("model.") for name in (*saved["state_dict"], *saved[TRAINED]))
    assert saved["state_dict"]["model.stem.norm.num_batches_tracked"] == 6


def test_training_goes_on_from_both_as_if_it_had_not_stopped(tmp_path):
    whole = WeightAverage(0.5)
    _, _, learner = fit([whole], epochs=2, batches=3)
    _, trainer, _ = fit([WeightAverage(0.5)], epochs=1, batches=3)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = WeightAverage(0.5)
    _, _, other = fit([resumed], epochs=2, batches=3, resume=tmp_path / "half.ckpt")
    torch.testing.assert_close(other.model.state_dict(), learner.model.state_dict())
    torch.testing.assert_close(resumed.average, whole.average)


def test_what_is_saved_in_the_middle_of_a_validation_is_not_exchanged(tmp_path):
    class Save(Callback):
        def on_validation_batch_end(self, trainer, learner, *rest):
            trainer.save_checkpoint(tmp_path / "inside.ckpt")

    watch = Watch()
    fit([WeightAverage(0.5), watch, Save()], epochs=1, batches=3)
    saved = torch.load(tmp_path / "inside.ckpt", weights_only=True)
    torch.testing.assert_close(saved["state_dict"]["model.head.weight"], watch.validated[-1])
    torch.testing.assert_close(saved[TRAINED]["model.head.weight"], watch.trained[-1])


def test_several_batches_of_one_step_count_once():
    average = WeightAverage(0.9)
    fit([average], epochs=1, batches=4, accumulate=2)
    assert average.steps == 2
    assert pytest.approx(0.9) == average.decay
