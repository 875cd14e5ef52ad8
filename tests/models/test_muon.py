"""Muon against torch's own, on kernels in either layout, and in a format that the device multiplies."""

import pytest
import torch
from torch import nn

from attnpred import muon
from attnpred.muon import Muon


def moved(optimizer_of, start, gradients):
    """Where the given steps take a weight."""
    p = nn.Parameter(start.clone())
    optimizer = optimizer_of(p)
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
    return p.detach()


def ours(p):
    return Muon([{"params": [p], "lr": 0.01, "weight_decay": 0.1}], momentum=0.9)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_steps_are_those_of_torch(shape):
    generator = torch.Generator().manual_seed(0)
    start, *gradients = (torch.randn(shape, generator=generator) for _ in range(6))

    def theirs(p):
        return torch.optim.Muon([p], lr=0.01, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")

    one, other = (moved(make, start, gradients) - start for make in (ours, theirs))
    assert nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.999  # theirs rounds to bf16
    assert one.norm() == pytest.approx(other.norm().item(), rel=0.02)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (5, 2, 1, 1), (2, 7, 3, 2)])
def test_a_kernel_moves_alike_in_either_layout(shape, monkeypatch):
    monkeypatch.setattr(muon, "bf16_unit", lambda device: None)
    start, *gradients = torch.randn((4, *shape), generator=torch.Generator().manual_seed(0))
    last = start.contiguous(memory_format=torch.channels_last)
    assert moved(ours, start, gradients).flatten(1).svd()[1].min() > 0
    torch.testing.assert_close(moved(ours, last, gradients), moved(ours, start, gradients), check_stride=False)
    # a gradient in the other layout is the same gradient
    others = [g.contiguous(memory_format=torch.channels_last) for g in gradients]
    torch.testing.assert_close(moved(ours, start, others), moved(ours, start, gradients))


@pytest.mark.parametrize(("unit", "dtype"), [("amx_bf16", torch.bfloat16), (None, torch.float32)])
def test_it_multiplies_in_the_format_that_the_device_has_units_for(monkeypatch, unit, dtype):
    asked = []
    monkeypatch.setattr(muon, "bf16_unit", lambda device: asked.append(device) or unit)
    made = muon.orthogonal(torch.randn(6, 9, generator=torch.Generator().manual_seed(0)))
    assert made.dtype == dtype
    assert asked == ["cpu"]
    values = torch.linalg.svdvals(made.float())
    assert values.min() > 0.5
    assert values.max() < 1.4
