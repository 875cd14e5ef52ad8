"""Training on examples that are moved against the model."""

import pytest
import torch
from torch import nn

from attnpred.config.adversarial_options import AdversarialConfig
from attnpred.contracts import Batch, ModelOutput
from attnpred.training.adversarial import Adversary
from tests.runs.test_records import cache, train  # noqa: F401


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def entrances(self):
        return [self.first]

    def forward(self, batch):
        return ModelOutput(self.last(self.first(batch.targets["features"])))


def measure(output, batch):
    return nn.functional.cross_entropy(output.answer, batch.targets["label"])


def made():
    torch.manual_seed(0)
    return Batch(inputs={}, targets={"features": torch.randn(5, 3), "label": torch.arange(5) % 2}, ids=torch.arange(5))


def test_examples_are_moved_up_the_loss_by_a_share_of_their_length():
    model, batch = Small(), made()
    adversary = Adversary(AdversarialConfig(size=0.2, share=0.25))
    (moves,) = adversary._moves(model, batch, measure)
    features = model.first(batch.targets["features"])
    torch.testing.assert_close(moves.norm(dim=1), 0.2 * features.norm(dim=1))
    clean = measure(model(batch), batch)
    moved = measure(ModelOutput(model.last(features + moves)), batch)
    assert moved > clean
    total = adversary.loss(clean, model, batch, measure)
    assert total.item() == pytest.approx((0.75 * clean + 0.25 * moved).item(), rel=1e-5)
    total.backward()
    assert model.first.weight.grad.abs().sum() > 0
    assert not model.first._forward_hooks


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet_attention", "transformer"])
def test_a_run_trains_so(train, model):  # noqa: F811
    extra = ["model.heads=2"] if model == "transformer" else []
    assert (train("adversarial=fgm", f"model={model}", *extra) / "metrics.json").is_file()
