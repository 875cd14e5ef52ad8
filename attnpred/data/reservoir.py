"""Quantiles of numbers that come one after the other, however many they are."""

import math
import random

import numpy as np

KEPT = 2000  # numbers that quantiles are taken of, drawn at random
MIDDLE = (0.5, 0.95)


class Reservoir:
    """A random sample of numbers that come one after the other, the same for the same numbers."""

    def __init__(self) -> None:
        self.kept: list[float] = []
        self.count = 0
        self.low, self.high = math.inf, -math.inf
        self._random = random.Random(0)  # a number at a time, which numpy is slow at

    def add(self, value: float) -> None:
        self.count += 1
        self.low, self.high = min(self.low, value), max(self.high, value)
        if len(self.kept) < KEPT:
            self.kept.append(value)
        elif (place := int(self._random.random() * self.count)) < KEPT:
            self.kept[place] = value

    def quantiles(self) -> list[float] | None:
        """Least, median, 95 %, and most."""
        if not self.count:
            return None
        middle = np.quantile(self.kept, MIDDLE).tolist()
        return [self.low, *middle, self.high]
