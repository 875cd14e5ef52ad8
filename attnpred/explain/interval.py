"""Means of measured numbers, and how sure they are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and the bounds within which it would lie for other examples, by bootstrap."""

    mean: float
    low: float
    high: float


def interval(values: NDArray[np.floating], seed: int = 0) -> Interval:
    """Of one number an example."""
    values = np.asarray(values, np.float64)
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    # multinomial counts stand for the drawn examples
    counts = random.multinomial(len(values), np.full(len(values), 1 / len(values)), size=RESAMPLES)
    means = counts @ values / len(values)
    low, high = np.quantile(means, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Interval(float(values.mean()), float(low), float(high))
