"""What is done in a step against forgetting, number by number."""

import pytest
import torch
from torch import nn

from attnpred.config.continual_options import ContinualConfig
from attnpred.contracts import AnswerSpec, Batch, ModelOutput
from attnpred.errors import UserError
from attnpred.training.forgetting import Anchor, FormerSelf, Kept, Replay


class Loader:
    def __init__(self, count, start):
        self.examples, self.start = count, start

    def at(self, positions):
        return Batch(inputs={}, targets={}, ids=torch.from_numpy(positions) + self.start)


class Linear(nn.Module):
    """Two classes of three features, which are the targets' own."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, batch):
        return ModelOutput(self.layer(batch.targets["features"]))


def made(count=4):
    torch.manual_seed(0)
    features, label = torch.randn(count, 3), torch.arange(count) % 2
    return Batch(inputs={}, targets={"features": features, "label": label}, ids=torch.arange(count))


def loss(output, batch):
    return nn.functional.cross_entropy(output.answer, batch.targets["label"])


def test_the_buffer_is_shared_out_and_never_grows():
    replay = Replay([Loader(100, 0), Loader(3, 1000)], size=11, share=0.5, seed=0)
    assert [len(places) for places in replay.places] == [6, 3]
    torch.manual_seed(0)
    seen = {int(row) for _ in range(200) for row in replay.beside(4).ids}
    assert len({row for row in seen if row < 1000}) == 6
    assert {row for row in seen if row >= 1000} == {1000, 1001, 1002}
    assert len(replay.beside(4)) == 4
    assert len(Replay([Loader(100, 0)], size=50, share=0.2, seed=0).beside(8)) == 2
    with pytest.raises(UserError, match=r"continual\.replay=1: keeps nothing"):
        Replay([Loader(5, 0), Loader(5, 0)], size=1, share=0.5, seed=0)


def test_a_weight_is_held_by_the_mean_square_of_its_gradient():
    torch.manual_seed(1)
    model, batch = Linear(), made()
    squares = []
    for row in range(4):
        one = batch.rows(torch.tensor([row]))
        (gradient,) = torch.autograd.grad(loss(model(one), one), [model.layer.weight])
        squares.append(gradient.square())
    anchor = Anchor(model, loss, [batch])
    moved = Linear()
    moved.load_state_dict(model.state_dict())
    assert anchor(moved).item() == 0
    with torch.no_grad():
        moved.layer.weight += 0.5
    assert anchor(moved).item() == pytest.approx(float(0.25 * torch.stack(squares).mean(0).sum() / 2), rel=1e-5)


def test_former_answers_are_kept_of_classes_that_there_were():
    before, answer = Linear(), AnswerSpec(2)
    former, batch = FormerSelf(before, answer, temperature=2.0), made()
    own = before(batch).answer
    more = torch.cat((own, torch.full((4, 1), 7.0)), 1)  # of a class that was added nothing is asked
    assert former(ModelOutput(more), batch).item() == pytest.approx(0, abs=1e-6)
    assert former(ModelOutput(own.flip(1)), batch).item() > 0
    spread = (own.flip(1) / 2).log_softmax(1), (own / 2).log_softmax(1)
    expected = 4 * (spread[1].exp() * (spread[1] - spread[0])).sum(1).mean()
    assert former(ModelOutput(own.flip(1)), batch).item() == pytest.approx(expected.item(), rel=1e-4)
    numbers = FormerSelf(before, AnswerSpec(2, exclusive=False, centred=True), 2.0)
    assert numbers(ModelOutput(own + 1), batch).item() == pytest.approx(1, rel=1e-5)


def test_replayed_examples_count_as_many_as_they_are():
    kept = Kept(ContinualConfig(), Replay([Loader(9, 0)], 9, 0.25, 0), None, None)
    again = kept.loss(torch.tensor(1.0), None, made(6), lambda some: (some, None, torch.tensor(5.0)), Linear())
    assert float(again) == pytest.approx((6 * 1 + 2 * 5) / 8)
