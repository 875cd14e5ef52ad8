"""Two operations as one on a CPU where no gradient is asked for: the map is written once, instead of twice or more."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.machine.device import number_format


def conv_relu(conv: nn.Conv2d, x: Tensor, plus: Tensor | None = None) -> Tensor:
    """relu(conv(x) + plus), all maps (batch, channels, rows, columns)"""
    number = _fused_format(x, conv)
    if number is None:
        x = conv(x)
        return F.relu(x if plus is None else x + plus)
    weight, bias = conv.weight.to(number), None if conv.bias is None else conv.bias.to(number)
    where = (conv.padding, conv.stride, conv.dilation, conv.groups)
    if plus is None:
        return torch.ops.mkldnn._convolution_pointwise(x.to(number), weight, bias, *where, "relu", [], "")
    both = (x.to(number), plus.to(number), weight, bias)
    return torch.ops.mkldnn._convolution_pointwise.binary(*both, *where, "add", 1.0, "relu", [], "")


def linear_gelu(linear: nn.Linear, x: Tensor) -> Tensor:
    """gelu(linear(x)), (..., features) -> (..., more features)"""
    number = _fused_format(x, linear)
    if number is None:
        return F.gelu(linear(x))
    weight, bias = linear.weight.to(number), linear.bias.to(number)
    return torch.ops.mkldnn._linear_pointwise(x.to(number), weight, bias, "gelu", [], "none")


def _fused_format(x: Tensor, layer: nn.Conv2d | nn.Linear) -> torch.dtype | None:
    """In which to multiply, or None where the fused operator cannot."""
    if type(layer) not in (nn.Conv2d, nn.Linear):  # one with an adapter beside it
        return None
    learns = torch.is_grad_enabled() and (x.requires_grad or layer.weight.requires_grad)
    if x.device.type != "cpu" or learns or not torch.backends.mkldnn.is_available():
        return None
    number = number_format(x)
    usable = number == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return number if usable else None
