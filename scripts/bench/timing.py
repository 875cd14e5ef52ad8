"""The clock that all sides share."""

import time
from collections.abc import Callable

import torch


def now() -> float:
    """Seconds, once the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def rate(work: Callable[[int], object], count: int) -> float:
    """Examples a second of `work(count)`, without what every call costs whatever its size.

    Loading a model or starting workers is inside some calls and cannot be left out from outside. So the time of a call
    on one example, after one that warms up, is subtracted, and that example with it; alike on both sides. One example
    rather than one batch, since a first batch may hold the shortest texts of all.
    """
    work(1)
    fixed = _seconds(work, 1)
    return (count - 1) / (_seconds(work, count) - fixed)


def _seconds(work: Callable[[int], object], count: int) -> float:
    start = now()
    work(count)
    return now() - start
