"""Means with their intervals, over seeds and over examples, and whether two differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 2000
FEW = 5  # seeds below which a test finds large differences only
PAIRED: Literal["paired t-test"] = "paired t-test"
WELCH: Literal["Welch's t-test"] = "Welch's t-test"


@dataclass(frozen=True)
class Summary:
    """Deviation needs two seeds, and so does the interval of the mean."""

    n: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference:
    """Of a group from another. `p` is corrected for how many were tested (Holm)."""

    test: str
    n: tuple[int, ...]  # common seeds, or seeds of each
    mean: float
    low: float | None
    high: float | None
    p: float | None


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
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(values.mean()), float(low), float(high))


def share_interval(hits: int, count: int) -> Interval:
    """A share and Wilson's bounds, which hold for few examples and for none or all of them, too."""
    from scipy.special import ndtri

    share, z = hits / count, float(ndtri((1 + LEVEL) / 2))
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z * z / count)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


@np.errstate(over="ignore", invalid="ignore")
def summary(values: Sequence[float], *, share: bool = False) -> Summary | None:
    """None of nothing. The interval of a `share` is taken on the logit scale, so that it stays within 0 and 1."""
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) < 2:
        return Summary(1, mean, None, None, None)
    deviation = float(np.std(values, ddof=1))
    half = _quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    low, high = _of_share(mean, half) if share else (mean - half, mean + half)
    return Summary(len(values), mean, deviation, low, high)


def _of_share(mean: float, half: float) -> tuple[float, float]:
    """Bounds of a share whose interval has that half width, around the mean's logit."""
    if not 0 < mean < 1:
        return mean, mean
    from scipy.special import expit, logit

    step = half / (mean * (1 - mean))
    return float(expit(logit(mean) - step)), float(expit(logit(mean) + step))


@np.errstate(over="ignore", invalid="ignore")
def difference(these: Mapping[Any, float], others: Mapping[Any, float]) -> Difference | None:
    """How far `these` are from `others`, both by seed: paired over common seeds where there are two or more."""
    common = [seed for seed in these if seed in others]
    if len(common) >= 2:
        deltas = np.array([these[seed] - others[seed] for seed in common])
        error, freedom = float(np.std(deltas, ddof=1)) / math.sqrt(len(common)), float(len(common) - 1)
        return _tested(PAIRED, (len(common),), float(np.mean(deltas)), error, freedom)
    if min(len(these), len(others)) < 2:
        return None
    sides = [np.array(list(side.values())) for side in (these, others)]
    errors = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    spread = sum(e**2 / (len(side) - 1) for e, side in zip(errors, sides, strict=True))
    freedom = sum(errors) ** 2 / spread if spread else math.nan
    mean = float(np.mean(sides[0]) - np.mean(sides[1]))
    return _tested(WELCH, (len(sides[0]), len(sides[1])), mean, math.sqrt(sum(errors)), freedom)


def _tested(test: str, n: tuple[int, ...], mean: float, error: float, freedom: float) -> Difference:
    """Without any deviation there is nothing to hold the difference against."""
    # what rounding leaves of equal numbers is no deviation
    if not error > 1e-12 * max(1.0, abs(mean)) or not math.isfinite(mean):
        return Difference(test, n, mean, None, None, None)
    from scipy.special import stdtr

    half = _quantile(freedom) * error
    return Difference(test, n, mean, mean - half, mean + half, 2 * float(stdtr(freedom, -abs(mean) / error)))


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values, raised for how many there are, so that one false find in all of them has the chance that p says."""
    order = sorted((p, i) for i, p in enumerate(values) if p is not None and math.isfinite(p))
    corrected: list[float | None] = list(values)
    reached = 0.0
    for rank, (p, i) in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p))
        corrected[i] = reached
    return corrected
