"""A table of series on disk: numbers, times and where each series begins; and windows that are cut from it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.data.batching import Integers
from attnpred.data.store import Store, save_store
from attnpred.data.targets import Stored
from attnpred.modalities.series.table import Table

VALUES, TIMES, STARTS, ROWS = "values.npy", "times.npy", "starts.npy", "rows.npy"


class SeriesStore(Store):
    """Moments of one series after those of another, in the order of time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.values = np.load(directory / VALUES, allow_pickle=False, mmap_mode="r")  # (moments, columns) float64
        self.times = np.load(directory / TIMES, allow_pickle=False)  # (moments,) float64; NaN where there are none
        self.starts = np.load(directory / STARTS, allow_pickle=False)  # (series + 1,): the last is the end
        self.rows = np.load(directory / ROWS, allow_pickle=False)  # (moments,): the row of the source; -1 of a gap

    @property
    def step(self) -> str:
        return str(self.about["step"])

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """Where each series begins and ends."""
        return list(zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True))


def write_series(directory: Path, table: Table, target: Stored) -> None:
    """Puts into an entry of the cache what a `SeriesStore` reads."""
    np.save(directory / VALUES, table.values)
    np.save(directory / TIMES, table.times)
    np.save(directory / STARTS, table.starts)
    np.save(directory / ROWS, table.rows)
    save_store(directory, target, step=table.step, series=table.series)


class Windows:
    """Standardised moments in memory, from which windows are cut as views; a batch is gathered from them at once."""

    def __init__(
        self,
        values: NDArray[np.float64],  # (moments, columns)
        starts: Integers,
        mean: Sequence[float],
        deviation: Sequence[float],
    ) -> None:
        even = ((values - np.array(mean)) / np.array(deviation)).astype(np.float32).T  # (columns, moments)
        missing = np.isnan(even)
        self.missing = torch.from_numpy(missing) if missing.any() else None
        self.values = torch.from_numpy(np.ascontiguousarray(filled(even, missing, starts)))

    def cut(self, first: Tensor, count: int) -> Tensor:
        """`count` moments from each of `first`, (batch,) int64, on: (batch, columns, count)"""
        return self._cut(self.values, first, count)

    def there(self, first: Tensor, count: int) -> Tensor | None:
        """Which of these are no filled gaps; None where nothing is missing anywhere."""
        return None if self.missing is None else ~self._cut(self.missing, first, count)

    def _cut(self, held: Tensor, first: Tensor, count: int) -> Tensor:
        views = held.unfold(1, count, 1).transpose(0, 1)  # (beginnings, columns, count), all in the same memory
        return views.index_select(0, first)


def filled(values: NDArray[Any], missing: NDArray[np.bool_], starts: Integers) -> NDArray[Any]:
    """(columns, moments): each missing value is the last before it in its series, or 0, the mean."""
    if not missing.any():
        return values
    begins = np.zeros(values.shape[1], np.int64)
    begins[starts[:-1]] = starts[:-1]
    begins = np.maximum.accumulate(begins)  # of each moment, where its series begins
    place = np.where(missing, -1, np.arange(values.shape[1]))
    before = np.maximum.accumulate(place, axis=1)
    found = np.take_along_axis(values, np.maximum(before, 0), axis=1)
    return np.where(before >= begins, found, 0)


def origins(
    bounds: Sequence[tuple[int, int]], parts: Sequence[tuple[int, int]], length: int, steps: int, stride: int
) -> Iterator[NDArray[np.int64]]:
    """Of each series the first moments that windows forecast: the forecast lies within the part, and the history within
    the series."""
    for (start, _), (begin, end) in zip(bounds, parts, strict=True):
        yield np.arange(max(begin, start + length), end - steps + 1, stride, dtype=np.int64)


def in_sample_scale(values: NDArray[np.float64], parts: Sequence[tuple[int, int]], season: int) -> NDArray[np.float64]:
    """(moments, variables) -> (variables,): the mean error of the seasonal naive forecast in the train part."""
    apart = [np.abs(values[begin + season : end] - values[begin : end - season]) for begin, end in parts]
    found = np.concatenate(apart)
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(found, axis=0) if len(found) else np.ones(values.shape[1])
    return np.where(np.isfinite(mean) & (mean > 0), mean, 1.0)
