"""Chance that follows from numbers alone, the same on every device and in every run."""

from torch import Tensor

SPREAD = 0x9E3779B97F4A7C15 - 2**64  # of multiplicative hashing: 2**64 by the golden ratio


def scattered(numbers: Tensor) -> Tensor:
    """int64 -> int64 of the same shape, whose upper bits, the sign among them, depend on all bits given."""
    mixed = numbers * SPREAD
    return (mixed ^ mixed >> 32) * SPREAD
