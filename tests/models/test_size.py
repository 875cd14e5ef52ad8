"""A model that cannot fit into memory is refused with its size, before it takes any."""

import pytest
import torch
from torch import nn

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.models import size

CONFIG = compose.compose([]).model


def chain(width: int, depth: int) -> nn.Module:
    return nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])


@pytest.mark.parametrize(("width", "depth"), [(1_000_000, 1), (60_000, 1_000), (10_000, 1_000)])
def test_what_does_not_fit_is_refused_with_its_size(width, depth, monkeypatch):
    monkeypatch.setattr(size, "memory", lambda: 2**33)
    monkeypatch.setattr(size, "LARGE", 2**20)
    needed = 4 * depth * (width + 1) * width / 2**30
    said = f"needs about {needed:,.0f} GiB for its weights, this machine has 8 GiB; lower model.width or model.depth"
    with pytest.raises(UserError) as caught:
        size.made(lambda: chain(width, depth), CONFIG)
    assert said in str(caught.value)


def test_one_allocation_beyond_everything_is_told_where_nothing_is_counted():
    with pytest.raises(UserError, match="needs more than the memory of this machine"):
        size.made(lambda: chain(10_000_000, 1), CONFIG, loads=True)


def test_what_fits_is_the_same_as_ever(monkeypatch):
    """Also where it was begun, counted and made anew: the weights are drawn from the same numbers."""
    torch.manual_seed(0)
    expected = chain(40, 3).state_dict()
    for large in (2**30, 10_000):
        monkeypatch.setattr(size, "LARGE", large)
        torch.manual_seed(0)
        found = size.made(lambda: chain(40, 3), CONFIG).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_other_errors_stay_what_they_are():
    def wrong() -> nn.Module:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        size.made(wrong, CONFIG)
    assert size.memory() > 2**20
