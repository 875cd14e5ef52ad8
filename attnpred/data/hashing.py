"""Chance that follows from numbers alone, the same on every device and in every run."""

import torch
from torch import Tensor

SPREAD = 0x9E3779B97F4A7C15 - 2**64  # of multiplicative hashing: 2**64 by the golden ratio
MOST_PARTS = 100_000_007  # of an example, for which something is drawn


def scattered(numbers: Tensor) -> Tensor:
    """int64 -> int64 of the same shape, whose upper bits, the sign among them, depend on all bits given."""
    mixed = numbers * SPREAD
    return (mixed ^ mixed >> 32) * SPREAD


def draws_of(numbers: Tensor, parts: int) -> Tensor:
    """(batch,) -> (batch, parts) within 0 and 1: as if drawn at random, but always the same for an example's number."""
    places = numbers[:, None] * MOST_PARTS + torch.arange(parts, device=numbers.device)
    return (scattered(places) >> 11 & 2**53 - 1).double() / 2**53
