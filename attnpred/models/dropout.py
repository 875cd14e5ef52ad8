"""Dropout whose random numbers don't cost more than the products around it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16


def drop_mask(shape: torch.Size, share: float, like: Tensor, random: torch.Generator | None = None) -> Tensor:
    """What to multiply by on a CPU: 0 for about `share` of the places, and 1 over the rest's share elsewhere.

    A generator of 64 random bits serves four places, so that `share` is met within 1 / 65,536.
    """
    dropped = round(share * LEVELS)
    count = shape.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=random)
    mask = torch.empty(shape, dtype=like.dtype)
    torch.ge(bits.view(torch.int16)[:count].view(shape), dropped - LEVELS // 2, out=mask)
    return mask.mul_(LEVELS / (LEVELS - dropped))


class Dropout(nn.Dropout):
    """Drops features, each on its own."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.p and x.device.type == "cpu":
            return x * drop_mask(x.shape, self.p, x)
        return super().forward(x)


class ExampleDropout(nn.Module):
    """Drops a feature at every position of an example at once: one random number a feature, not one a position too."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> the same shape"""
        if not self.training or not self.share:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, x.shape[2]), self.share)
