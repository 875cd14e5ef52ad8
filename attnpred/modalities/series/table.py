"""A table of one series or several, checked: in the order of time, at even steps, each value a number or missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.modalities.series import times
from attnpred.modalities.series.times import Irregular


class Wrong(ValueError):
    """What is wrong with a table, with the option that names the column at fault, for whoever knows the source."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(reason)
        self.option = option


@dataclass(frozen=True)
class Table:
    """Moments of one series after those of another."""

    values: NDArray[np.float64]  # (moments, columns); NaN where one is missing
    times: NDArray[np.float64]  # (moments,)
    rows: NDArray[np.int64]  # (moments,): each one's row in the source; -1 where it was filled in
    starts: NDArray[np.int64]  # (series + 1,)
    series: list[str]  # names
    step: str


@dataclass(frozen=True)
class Columns:
    """Which columns play which part."""

    values: tuple[str, ...]  # variables, then what is known ahead, then what is static
    time: str | None
    series: str | None

    def named(self) -> dict[str, str]:
        """Option → column, as sources want them; variables first."""
        found = {f"data.columns[{i}]": name for i, name in enumerate(self.values)}
        found |= {} if self.time is None else {"data.time_column": self.time}
        return found | ({} if self.series is None else {"data.series_column": self.series})


def read(chunks: Iterator[list[list[Any]]], columns: Columns, *, fill: bool) -> Table:
    """From chunks of the columns in the order of `Columns.named`; raises Wrong.

    With `fill` moments that lack are put in, as missing values.
    """
    count = len(columns.values)
    numbers: list[NDArray[np.float64]] = []
    clocks: list[NDArray[np.float64]] = []
    names: list[Any] = []
    dates = False
    row = 0
    for chunk in chunks:
        numbers.append(np.stack([_numbers(v, n, row) for v, n in zip(chunk[:count], columns.values, strict=True)], 1))
        if columns.time is not None:
            dates = dates or times.are_dates(chunk[count])
            try:
                clocks.append(times.read(chunk[count]))
            except ValueError as error:
                raise Wrong("data.time_column", f"{columns.time} {error}") from None
        if columns.series is not None:
            names += chunk[-1]
        row += len(chunk[0])
    values = np.concatenate(numbers)
    clock = np.concatenate(clocks) if clocks else np.full(len(values), np.nan)
    return _ordered(values, clock, names, columns, dates, fill)


def _numbers(values: Sequence[Any], name: str, start: int) -> NDArray[np.float64]:
    try:
        found = np.array([np.nan if v is None or v == "" else v for v in values], np.float64)
    except (TypeError, ValueError):
        odd = next(v for v in values if not isinstance(v, int | float) and v not in (None, ""))
        raise Wrong("data.columns", f"{name} holds {str(odd)[:40]!r}, which is no number") from None
    odd_at = np.flatnonzero(np.isinf(found))
    if len(odd_at):
        raise Wrong("data.columns", f"row {start + int(odd_at[0])} has an infinite value in {name}")
    return found


def _ordered(
    values: NDArray[np.float64],
    clock: NDArray[np.float64],
    names: list[Any],
    columns: Columns,
    dates: bool,
    fill: bool,
) -> Table:
    if columns.series is None:
        order, starts, series = np.arange(len(values)), [0, len(values)], [""]
    else:
        lacking = next((i for i, name in enumerate(names) if name is None or name == ""), None)
        if lacking is not None:
            raise Wrong("data.series_column", f"row {lacking} names no series")
        series = list(dict.fromkeys(map(str, names)))
        number = {name: i for i, name in enumerate(series)}
        own = np.array([number[str(name)] for name in names])
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], np.arange(len(series) + 1)).tolist()
    if columns.time is None:
        return Table(values[order], clock, order, np.array(starts, np.int64), series, "")
    step, pieces = "", []
    for name, begin, end in zip(series, starts[:-1], starts[1:], strict=True):
        where = order[begin:end]
        try:
            own_step = times.step_of(clock[where], columns.time, dates)
            step = step or own_step
            pieces.append(_regular(where, clock[where], own_step and step, fill))
        except Irregular as error:
            of = f"{error} in series {name}" if name else str(error)
            raise Wrong("data.time_column", of) from None
    return _put_together(values, clock, series, step, pieces)


def _regular(where: NDArray[np.int64], clock: NDArray[np.float64], step: str, fill: bool) -> NDArray[np.int64]:
    """The rows of a series' moments, one a step; -1 where one lacks. Irregular where none is to be filled in."""
    places = times.numbered(clock, step)
    gaps = np.flatnonzero(np.diff(places) != 1)
    if not len(gaps):
        return where
    if not fill:
        at = int(gaps[0])
        lacking = int(places[at + 1] - places[at]) - 1
        raise Irregular(
            f"row {at + 1}: {lacking:,} moment{'s' * (lacking != 1)} of {step} missing between "
            f"{times.shown(clock[at], step)} and {times.shown(clock[at + 1], step)}; or set data.gaps=fill"
        )
    found = np.full(int(places[-1]) + 1, -1, np.int64)
    found[places] = where
    return found


def _put_together(
    values: NDArray[np.float64],
    clock: NDArray[np.float64],
    series: list[str],
    step: str,
    pieces: list[NDArray[np.int64]],
) -> Table:
    rows = np.concatenate(pieces)
    starts = np.cumsum([0, *map(len, pieces)])
    put = rows < 0
    found, when = values[np.maximum(rows, 0)], clock[np.maximum(rows, 0)]
    found[put], when[put] = np.nan, np.nan
    if put.any():  # a window may begin behind a gap: its time is told by the moments before
        known = np.maximum.accumulate(np.where(put, 0, np.arange(len(rows))))
        when = when[known] + (np.arange(len(rows)) - known) * times.seconds(step)
    return Table(found, when, rows, starts.astype(np.int64), series, step)
