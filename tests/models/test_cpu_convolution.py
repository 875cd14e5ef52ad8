"""Convolutions whose kernels' gradient is made from images side by side: the plain one's results, where that pays."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.models import cpu_convolution
from attnpred.models.cpu_convolution import Abreast, Conv, side_by_side


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes that went the other way, on a processor that is said to have tiles."""
    shapes = []

    def apply(x: Tensor, weight: Tensor) -> Any:
        shapes.append(tuple(x.shape))
        return original(x, weight)

    original = Abreast.apply
    monkeypatch.setattr(Abreast, "apply", apply)
    monkeypatch.setattr(cpu_convolution, "bf16_unit", lambda device: "amx_bf16")
    return shapes


@pytest.mark.parametrize("shape", [(8, 3, 5, 4), (12, 3, 1, 7)])
def test_first_and_second_derivatives_are_right(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 3, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(Abreast.apply, (x, weight))
    assert torch.autograd.gradgradcheck(Abreast.apply, (x, weight))


def test_images_side_by_side_are_apart() -> None:
    x = torch.arange(1.0, 17).view(4, 1, 2, 2)
    expected = [[1.0, 2, 0, 5, 6, 0], [3, 4, 0, 7, 8, 0]], [[9, 10, 0, 13, 14, 0], [11, 12, 0, 15, 16, 0]]
    torch.testing.assert_close(side_by_side(x, 2), torch.tensor(expected).unsqueeze(1))


def test_it_trains_as_the_plain_one_does(used: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    conv = Conv(8, 16).to(memory_format=torch.channels_last)
    x = torch.randn(16, 8, 6, 6).to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        results = [conv(x), nn.Conv2d.forward(conv, x)]
    found, expected = (torch.autograd.grad(y, (x, conv.weight), torch.ones_like(y)) for y in results)
    assert used == [(16, 8, 6, 6)]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("shape", [(16, 4, 32, 32), (3, 4, 6, 6)], ids=["large maps", "odd batches"])
def test_where_it_does_not_pay_it_is_the_plain_one(shape: tuple[int, ...], used: list[tuple[int, ...]]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        Conv(4, 4)(torch.randn(shape)).sum().backward()
    assert not used


def test_nothing_is_rounded_without_autocast(used: list[tuple[int, ...]]) -> None:
    conv, x = Conv(4, 4), torch.randn(16, 4, 6, 6)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, padding=1), rtol=0, atol=0)
    assert not used


def test_strides_and_answers_are_left_alone(used: list[tuple[int, ...]]) -> None:
    x = torch.randn(16, 4, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert Conv(4, 4, stride=2)(x).shape == (16, 4, 3, 3)
        with torch.no_grad():
            Conv(4, 4)(x)
    assert not used
