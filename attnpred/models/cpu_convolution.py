"""A convolution that learns faster from small maps, where the CPU multiplies in tiles of bf16 (AMX).

There oneDNN makes the kernels' gradient from one image's row after another, and rows of a few pixels leave most of a
tile empty. It takes longer than all the rest of the convolution. Images side by side have long rows.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.machine.device import bf16_unit, number_format

SMALL = 9  # rows and columns up to which it pays
ABREAST = 32  # images side by side, or as many as divide the batch
FEWEST = 4  # that are worth it


class Conv(nn.Conv2d):
    """Kernels of 3 by 3 without bias; without strides the map keeps its size."""

    def __init__(self, channels: int, inner: int, stride: int = 1) -> None:
        super().__init__(channels, inner, 3, stride=stride, padding=1, bias=False)
        self._tiles = bf16_unit("cpu") == "amx_bf16"  # asked once: torch.compile can't look into the question

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, inner, rows, columns)"""
        if not self._pays(x):
            return super().forward(x)
        found: Tensor = Abreast.apply(x.to(torch.bfloat16), self.weight.to(torch.bfloat16))
        return found

    def _pays(self, x: Tensor) -> bool:
        return (
            self._tiles
            and x.device.type == "cpu"
            and number_format(x) == torch.bfloat16
            and torch.is_grad_enabled()
            and self.weight.requires_grad
            and self.bias is None
            and self.stride == (1, 1)
            and max(x.shape[2:]) <= SMALL
            and _abreast(x) >= FEWEST
        )


class Abreast(torch.autograd.Function):
    """A convolution of 3 by 3 whose kernels' gradient sees images side by side."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight = ctx.needs_input_grad
        count = _abreast(x)
        return (
            _gradients(gradient, x, weight, of_weight=False) if wants_x else None,
            _gradients(side_by_side(gradient, count), side_by_side(x, count), weight, of_weight=True)
            if wants_weight
            else None,
        )


def side_by_side(x: Tensor, count: int) -> Tensor:
    """(batch, channels, rows, columns) -> (batch / count, channels, rows, count x (columns + 1)), 0 between images."""
    batch, channels, rows, columns = x.shape
    last = x.permute(0, 2, 3, 1).reshape(batch // count, count, rows, columns, channels)
    apart = F.pad(last.transpose(1, 2), (0, 0, 0, 1))  # (batch / count, rows, count, columns + 1, channels)
    return apart.reshape(batch // count, rows, count * (columns + 1), channels).permute(0, 3, 1, 2)


def _abreast(x: Tensor) -> int:
    return math.gcd(len(x), ABREAST)


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, *, of_weight: bool) -> Tensor:
    asked = [not of_weight, of_weight, False]
    settings = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, transposed, groups
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(gradient, x, weight, None, *settings, asked)
    return found[of_weight]
