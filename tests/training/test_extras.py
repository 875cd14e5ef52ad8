"""Losses, metrics and changes to batches that a package of the user's brings."""

import json
from pathlib import Path

import pytest

from attnpred.cli import main
from tests.config.packages_made import put

CODE = '''
from dataclasses import replace

import torch
from torchmetrics import Metric


def twice(answer, label):
    return 2 * torch.nn.functional.cross_entropy(answer, label)


class Rows(Metric):
    """How many rows were measured."""

    def __init__(self):
        super().__init__()
        self.add_state("rows", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, answer, label):
        self.rows += len(answer)

    def compute(self):
        return self.rows


class Several(Rows):
    def compute(self):
        return torch.zeros(3)


def darker(batch, epoch):
    images = batch.input
    return batch.reading(replace(images, pixels=images.pixels // 2))
'''
FEW = [
    "trainer.limit_batches=2",
    "data=digits",
    "model.width=8",
    "model.depth=1",
    "trainer.max_steps=2",
    "trainer.precision=32-true",
    "logger=none",
]


@pytest.fixture
def launch(tmp_path, monkeypatch, place, capsys):
    """Trains with the package below the working directory; the exit code, the result and what was said."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "extrapkg" / "parts.py", CODE)

    def launched(*overrides):
        code = main(["train", "--package", "extrapkg", *FEW, *place, *overrides])
        out, err = capsys.readouterr()
        file = Path(out.splitlines()[-1]) / "metrics.json" if code == 0 else None
        return code, json.loads(file.read_text()) if file else {}, err

    return launched


def test_a_loss_a_metric_and_an_augmentation(launch, monkeypatch):
    from attnpred.training.learner import Learner

    losses, pixels = [], []
    step = Learner.training_step

    def seen(self, batch, batch_idx):
        loss = step(self, batch, batch_idx)
        losses.append(float(loss) / float(self.task.loss(self.model(batch), batch)))
        pixels.append(int(batch.input.pixels.max()))
        return loss

    monkeypatch.setattr(Learner, "training_step", seen)
    named = ["task.loss_function=extrapkg.parts.twice", "task.further_metrics=[extrapkg.parts.Rows]"]
    code, result, _ = launch(*named, "data.augment_with=[extrapkg.parts.darker]")
    assert code == 0
    assert losses == pytest.approx([2.0, 2.0], rel=0.05)
    assert max(pixels) <= 127
    assert result["test"]["rows"] == result["test"]["examples"] > 0


def test_a_checkpoint_may_be_chosen_by_a_further_metric(launch):
    named = ["task.further_metrics=[extrapkg.parts.Rows]", "checkpoint.monitor=val/rows"]
    code, _, err = launch(*named)
    assert code == 2
    assert "say max or min" in err
    code, result, _ = launch(*named, "checkpoint.mode=max")
    assert code == 0
    assert result["val"]["best"]["rows"] > 0


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("task.loss_function=extrapkg.parts.twise", "did you mean extrapkg.parts.twice?"),
        ("task.further_metrics=[otherpkg.Rows]", "give --package otherpkg if you trust it"),
        ("data.augment_with=[extrapkg.parts.nothing]", "holds no nothing"),
        ("task.further_metrics=[extrapkg.parts.Several]", "gives 3 numbers; it must give one"),
    ],
)
def test_a_name_that_will_not_do_is_one_line(override, expected, launch):
    code, _, err = launch(override)
    assert code == 2
    assert expected in err.splitlines()[-1]
