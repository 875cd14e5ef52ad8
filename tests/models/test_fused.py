"""The fused operators give what the plain ones give, and step aside where a gradient is wanted."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.models import fused

BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported() if torch.backends.mkldnn.is_available() else False
needs_bf16 = pytest.mark.skipif(not BF16, reason="oneDNN has no bf16 on this processor")


def images(channels: int) -> Tensor:
    return torch.randn(2, channels, 6, 6).to(memory_format=torch.channels_last)


@needs_bf16
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(("stride", "bias"), [(1, True), (2, False)])
def test_a_convolution_with_its_relu(added: bool, stride: int, bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, 3, stride=stride, padding=1, bias=bias)
    x = images(8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        plain = conv(x)
        plus = torch.randn_like(plain) if added else None
        expected = F.relu(plain if plus is None else plain + plus)
        found = fused.conv_relu(conv, x, plus)
    assert found.dtype == torch.bfloat16
    assert found.min() == 0
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.02)


@needs_bf16
def test_a_linear_map_with_its_gelu() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(8, 16), torch.randn(2, 5, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(fused.linear_gelu(linear, x), F.gelu(linear(x)), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("bf16", [False, True])
def test_gradients_are_those_of_the_plain_operations(bf16: bool) -> None:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(4, 4, 3), nn.Linear(4, 4)
    x = images(4)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        fused.linear_gelu(linear, fused.conv_relu(conv, x)).float().sum().backward()
        found = [p.grad for p in (conv.weight, linear.weight)]
        conv.zero_grad()
        linear.zero_grad()
        F.gelu(linear(F.relu(conv(x)))).float().sum().backward()
    torch.testing.assert_close(found, [p.grad for p in (conv.weight, linear.weight)], rtol=0, atol=0)


def test_without_autocast_nothing_is_rounded() -> None:
    conv, linear, x = nn.Conv2d(4, 4, 1), nn.Linear(4, 4), images(4)
    with torch.no_grad():
        torch.testing.assert_close(fused.conv_relu(conv, x), F.relu(conv(x)))
        row = x[:, :, 0, :4]
        torch.testing.assert_close(fused.linear_gelu(linear, row), F.gelu(linear(row)))
