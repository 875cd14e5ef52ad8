import pytest
import torch

from attnpred.models.dropout import Dropout, ExampleDropout, drop_mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.93])
def test_mask_drops_the_share_and_keeps_the_mean(share, dtype):
    torch.manual_seed(0)
    mask = drop_mask(torch.Size((401, 503)), share, torch.zeros((), dtype=dtype))
    assert mask.dtype == dtype
    assert len(mask.unique()) == 2
    assert (mask == 0).float().mean().item() == pytest.approx(share, abs=0.005)
    assert mask.double().mean().item() == pytest.approx(1, abs=0.03)


def test_places_are_independent():
    torch.manual_seed(0)
    dropped = (drop_mask(torch.Size((100_000,)), 0.3, torch.zeros(())) == 0).float()
    for distance in range(1, 9):  # four places share a draw
        both = (dropped[:-distance] * dropped[distance:]).mean().item()
        assert both == pytest.approx(0.09, abs=0.006), distance


def test_module_drops_in_training_alone_and_follows_the_seed():
    module, x = Dropout(0.5), torch.randn(4, 7, 8, requires_grad=True)
    assert torch.equal(module.eval()(x), x)
    module.train()
    torch.manual_seed(3)
    first = module(x)
    torch.manual_seed(3)
    assert torch.equal(first, module(x))
    first.sum().backward()
    assert torch.equal(x.grad, torch.where(first == 0, 0.0, 2.0))


def test_example_dropout_drops_a_feature_at_every_position():
    torch.manual_seed(0)
    dropped = ExampleDropout(0.5)(torch.ones(16, 5, 32)) == 0
    assert torch.equal(dropped.all(1), dropped.any(1))
    assert 0.3 < dropped.float().mean() < 0.7
