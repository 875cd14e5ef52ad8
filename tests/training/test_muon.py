"""Muon against torch's own, on kernels in either layout, and in a format that the device multiplies."""

from functools import partial

import pytest
import torch
from torch import nn

from attnpred.training import muon
from attnpred.training.muon import TURN, Muon


def moved(optimizer_of, start, gradients):
    """Where the given steps take a weight."""
    p = nn.Parameter(start.clone())
    optimizer = optimizer_of(p)
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
    return p.detach()


def ours(p, lr=0.01, decay=0.1):
    return Muon([{"params": [p], "lr": lr, "weight_decay": decay}], momentum=0.9)


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


@pytest.mark.parametrize("shape", [(6, 20), (4, 3, 3, 3)])
def test_a_held_norm_stays_while_the_direction_turns(shape):
    generator = torch.Generator().manual_seed(0)
    start, *gradients = (torch.randn(shape, generator=generator) for _ in range(6))

    def held(p):
        return Muon([{"params": [p], "lr": 0.1, "weight_decay": 0.0}], momentum=0.9, hold_norm=True)

    end = moved(held, start, gradients)
    assert end.norm().item() == pytest.approx(start.norm().item())
    assert nn.functional.cosine_similarity(end.flatten(), start.flatten(), dim=0) < 0.999


@pytest.mark.parametrize("factor", [1.0, 1e-3])
@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (6, 3, 3, 3)])
def test_a_held_norm_turns_by_a_share_of_itself(shape, factor, monkeypatch):
    monkeypatch.setattr(muon, "bf16_unit", lambda device: None)
    generator = torch.Generator().manual_seed(0)
    start, gradient = (torch.randn(shape, generator=generator) for _ in range(2))
    start = start * factor
    once = moved(lambda p: Muon([{"params": [p], "lr": 0.001}], 0.9, hold_norm=True), start, [gradient])
    step = muon.orthogonal(gradient.flatten(1)).view(shape)  # the direction of the first is the gradient's
    free = start - step * (0.001 * TURN * start.norm() / 6**0.5)
    torch.testing.assert_close(once, free * (start.norm() / free.norm()))


def test_what_starts_at_nothing_is_free_to_grow():
    gradient = torch.randn((6, 20), generator=torch.Generator().manual_seed(0))
    held = moved(lambda p: Muon([{"params": [p], "lr": 0.1}], 0.9, hold_norm=True), torch.zeros(6, 20), [gradient])
    torch.testing.assert_close(held, moved(partial(ours, lr=0.1), torch.zeros(6, 20), [gradient]))


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
