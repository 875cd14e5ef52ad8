"""The pointing game: examples put among others, and what maps are worth there."""

from dataclasses import replace

import pytest
import torch

from attnpred.explain.base import Explainer
from attnpred.explain.pointing_game import among_others, game
from tests.explain.made import CLASSES, Mixer, texts
from tests.models.made import CLASSES as CLASSES_OF
from tests.models.made import IMAGE, PAIR, TEXT, image_batch, make_model, pair_batch, text_batch
from tests.tasks.made import classification


def test_four_images_stand_in_a_grid():
    batch = image_batch(8)
    one = batch.input
    rows = [one.rows((torch.arange(8) + step) % 8) for step in (1, 2, 3)]
    mixed = one.among(rows, torch.arange(8), IMAGE)
    assert mixed.pixels.shape == one.pixels.shape
    height, width = one.pixels.shape[2] // 2, one.pixels.shape[3] // 2
    for row in range(8):
        y, x = divmod(row % 4, 2)
        tile = mixed.pixels[row, :, y * height : (y + 1) * height, x * width : (x + 1) * width]
        torch.testing.assert_close(tile, torch.nn.functional.avg_pool2d(one.pixels[row].float(), 2))
        assert mixed.evidence[row].sum() == height * width
        assert mixed.evidence[row, y * height, x * width]


def test_two_texts_stand_one_behind_the_other():
    batch = text_batch((6, 5), seed=1)
    one, other = batch.input, batch.input.rows(torch.tensor([1, 0]))
    mixed = one.among([other], torch.tensor([0, 1]), TEXT)
    own = [one.tokens[row, 1 : one.lengths[row] - 1].tolist() for row in range(2)]
    assert mixed.tokens[0, 1:8].tolist() == own[0] + own[1]
    assert mixed.tokens[1, 1:8].tolist() == own[0] + own[1]
    assert mixed.evidence[0, :9].tolist() == [False] + [True] * 4 + [False] * 4
    assert mixed.evidence[1, :9].tolist() == [False] * 5 + [True] * 3 + [False]
    assert mixed.lengths.tolist() == [9, 9]
    assert pair_batch().input.company == 0
    assert PAIR.names


class Best(Explainer):
    """Points at the evidence alone, or at all parts alike."""

    def __init__(self, model, task, *, knows):
        self.model, self.task, self.knows = model, task, knows

    def __call__(self, batch, choice):
        own = batch.input.evidence.float()
        return own / own.sum(1, keepdim=True) if self.knows else torch.ones_like(own)


def test_a_map_that_knows_wins_and_one_that_does_not_gets_its_part():
    model = Mixer(8, seed=1).eval()
    task = classification(CLASSES)
    batch = texts([2, 3, 4], [5, 6, 4], [6, 6, 2], [3, 5, 2], [2, 2, 2], [4, 4, 4])
    said = task.choose(model(batch))
    batch = replace(batch, targets={"label": said})
    if len(said.unique()) == 1:
        pytest.skip("all are answered alike")
    found = game(model, task, {"best": Best(model, task, knows=True), "flat": Best(model, task, knows=False)}, [batch])
    assert found["best"].mean == pytest.approx(1)
    assert found["flat"].mean == pytest.approx(0.5)


def test_nothing_is_played_where_it_makes_no_sense():
    model, batch = make_model("resnet_attention", IMAGE), image_batch(4)
    task = classification(CLASSES_OF["image"])
    wrong = replace(batch, targets={"label": (task.choose(model(batch)) + 1) % 3})
    assert among_others(model, task, wrong) is None
    assert game(model, task, {}, [replace(batch, targets={})]) == {}
