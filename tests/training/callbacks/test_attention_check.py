"""Attention measured in training."""

from dataclasses import replace

import pytest
import torch
from pytorch_lightning import Callback

from attnpred.config.compose import compose
from attnpred.config.options import TrainerConfig
from attnpred.machine.device import choose
from attnpred.training.callbacks.attention_check import AttentionCheck
from attnpred.training.callbacks.monitor import Monitor
from tests.models.made import image_batch
from tests.training.callbacks.made import Batches, fit

CPU: TrainerConfig = compose(["trainer=cpu"]).trainer


class Seen(Callback):
    def __init__(self, monitor):
        self.monitor, self.values = monitor, []

    def on_validation_end(self, trainer, learner):
        self.values.append({k: v for k, v in self.monitor.latest.items() if k.startswith("attention/")})


def run(**changes):
    monitor = Monitor(5, compose([]).checkpoint)
    sample = [image_batch(6), image_batch(3)]
    if changes.get("evidence"):
        for place, batch in enumerate(sample):
            evidence = torch.zeros(len(batch), *batch.input.pixels.shape[2:], dtype=torch.bool)
            evidence[:, :4, :4] = True
            sample[place] = batch.reading(replace(batch.input, evidence=evidence))
    seen = Seen(monitor)
    _, trainer, learner = fit([monitor, AttentionCheck(sample, monitor, choose(CPU)), seen], epochs=2, batches=4)
    trainer.test(learner, Batches(1), verbose=False)
    return monitor, seen


def test_every_validation_has_its_point_and_the_end_its_intervals():
    monitor, seen = run()
    names = {"comprehensiveness", "sufficiency", "comprehensiveness_random", "sufficiency_random"}
    assert [set(values) for values in seen.values] == [{f"attention/{name}" for name in names}] * 2
    assert seen.values[0] != seen.values[1]
    found = monitor.result["attention"]
    assert found["examples"] == 9
    assert monitor.result["attention_seconds"] > 0
    assert set(found["scores"]) == {"attention", "random"}
    mean, low, high = found["scores"]["attention"]["comprehensiveness"]
    assert low <= mean <= high
    # the weights are those of the last validation
    assert mean == pytest.approx(seen.values[1]["attention/comprehensiveness"], abs=1e-3)


def test_known_evidence_is_looked_for():
    monitor, _ = run(evidence=True)
    for scores in monitor.result["attention"]["scores"].values():
        assert {"pointing", "precision_recall", "overlap"} <= set(scores)


def test_measuring_changes_nothing_of_the_training():
    weights = []
    for callbacks in ([], [AttentionCheck([image_batch(4)], Monitor(5, compose([]).checkpoint), choose(CPU))]):
        _, _, learner = fit(callbacks, epochs=2, batches=4)
        weights.append(learner.model.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name])
