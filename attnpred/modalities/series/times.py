"""Times of a series: read from a column, and the step from one moment to the next."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data.arrangement import moment

MONTHS = re.compile(r"(\d{1,4})mo")
SECONDS = re.compile(r"(\d{1,12})s?")
# How many steps after which a series of such a step often repeats
SEASONS = {60: 60, 900: 96, 1800: 48, 3600: 24, 86_400: 7, 604_800: 52}
YEAR = 12  # months


class Irregular(ValueError):
    """Times that are no regular series; says where and why."""


def read(values: Sequence[Any]) -> NDArray[np.float64]:
    """Seconds since 1970, NaN where there is no time; ValueError for what is no time.

    A number counts as it is: a year, or the number of a moment.
    """
    return np.array([moment(value) for value in values], np.float64)


def are_dates(values: Sequence[Any]) -> bool:
    """True where times are dates, False where they are numbers."""
    return not all(value is None or isinstance(value, int | float) for value in values)


def step_of(times: NDArray[np.float64], name: str, dates: bool) -> str:
    """The step of one series' times, `3600s`, `1mo`, or `1` of numbers; `name` is the column's, for what is wrong.

    Raises Irregular with the first moment that is not where it should be. The usual distance is the step.
    """
    apart = np.diff(times)
    wrong = np.flatnonzero(~(apart > 0))
    if len(wrong):
        at = int(wrong[0]) + 1
        what = (
            "has no time"
            if np.isnan(times[at - 1 : at + 1]).any()
            else "repeats"
            if apart[at - 1] == 0
            else "goes back"
        )
        unit = "s" if dates else ""
        raise Irregular(f"row {at}: {name} {what} ({shown(times[at], unit)} after {shown(times[at - 1], unit)})")
    if not len(apart):
        return ""
    sizes, counts = np.unique(apart, return_counts=True)
    usual = float(sizes[counts.argmax()])
    months = _months(times) if dates and usual >= 28 * 86_400 else None
    if months is not None:
        each = np.diff(months)
        usual_months = int(np.bincount(each).argmax())
        return f"{usual_months}mo"
    return f"{max(usual, 1.0):.0f}{'s' if dates else ''}"


def _months(times: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Of each time its month's number, where all are at one day and hour of their months; else None."""
    dates = [datetime.fromtimestamp(t, UTC) for t in times]
    alike = {(d.day, d.hour, d.minute, d.second) for d in dates}
    ends = {(d + timedelta(days=1)).day for d in dates} == {1}
    if len(alike) > 1 and not ends:
        return None
    return np.array([12 * d.year + d.month for d in dates], np.int64)


def numbered(times: NDArray[np.float64], step: str) -> NDArray[np.int64]:
    """How many steps each time lies behind the first; Irregular where one lies between steps."""
    if not step:
        return np.arange(len(times))
    if found := MONTHS.fullmatch(step):
        months = _months(times)
        if months is None:
            raise Irregular(f"its step is not {step}")
        behind = (months - months[0]) / int(found[1])
    else:
        behind = (times - times[0]) / seconds(step)
    whole = np.rint(behind).astype(np.int64)
    off = np.flatnonzero(np.abs(behind - whole) > 1e-6)
    if len(off):
        raise Irregular(f"row {int(off[0])}: {shown(times[off[0]], step)} lies between steps of {step}")
    return whole


def seconds(step: str) -> int:
    found = SECONDS.fullmatch(step)
    return int(found[1]) if found else 0


def season_of(step: str) -> int:
    """Steps after which a series often repeats, by its step alone; 1 where nothing is known."""
    if found := MONTHS.fullmatch(step):
        return YEAR // int(found[1]) if YEAR % int(found[1]) == 0 else 1
    return SEASONS.get(seconds(step), 1) if step.endswith("s") else 1


def around(last: float, step: str, count: int) -> list[str]:
    """Names of `count` moments: of those behind the last, or, below 0, of those up to it."""
    places = range(1, count + 1) if count > 0 else range(count + 1, 1)
    if found := MONTHS.fullmatch(step):
        return [_added(last, place * int(found[1])) for place in places]
    return [shown(last + place * seconds(step), step) for place in places]


def _added(last: float, months: int) -> str:
    date = datetime.fromtimestamp(last, UTC)
    at = 12 * date.year + date.month - 1 + months
    following = datetime(at // 12 + (at % 12 == 11), (at + 1) % 12 + 1, 1, tzinfo=UTC)
    longest = (following - timedelta(days=1)).day
    end = (date + timedelta(days=1)).day == 1
    found = date.replace(year=at // 12, month=at % 12 + 1, day=longest if end else min(date.day, longest))
    return shown(found.timestamp(), "s")


def shown(time: float, step: str) -> str:
    """A time as ISO 8601, without seconds or a clock where they are 0; a number where the step is one of numbers."""
    if np.isnan(time):
        return "none"
    if not step.endswith(("s", "mo")):
        return f"{time:.15g}"
    try:
        date = datetime.fromtimestamp(time, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{time:g}"
    text = date.strftime("%Y-%m-%d %H:%M:%S")
    return text.removesuffix(":00").removesuffix(" 00:00")
