"""Groups and times of a split's rows, as columns hold them: read once, and kept beside what is prepared."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.data.splits import Arrangement
from attnpred.errors import BadRow, UserError

VERSION = 1  # raised when the code makes other files of the same input
CHUNK = 10_000
FILE = "arrangement.npy"


def column_of(config: DataConfig) -> dict[str, str]:
    """Option → column of what binds rows together or orders them; empty where there is none."""
    named = {"data.group_column": config.group_column, "data.time_column": config.time_column}
    return {option: column for option, column in named.items() if column is not None}


def collected(config: DataConfig, chunks: Iterator[list[list[Any]]], place: str) -> NDArray[Any]:
    """The column of `column_of` as numbers; `place` names the split."""
    ((option, column),) = column_of(config).items()
    number = _numbered() if config.group_column is not None else moment
    found: list[NDArray[Any]] = []
    start = 0
    for (values,) in chunks:
        try:
            found.append(np.array([number(value) for value in values]))
        except ValueError as error:
            raise UserError(f"{option}={column}: {error} ({place}); name another column") from None
        if config.on_bad_row == "fail":
            row = next((row for row, value in enumerate(found[-1]) if _missing(value)), None)
            if row is not None:
                raise BadRow(
                    f"{option}={column}: row {start + row} of {place} has none; mend it, or set data.on_bad_row=skip",
                    start + row,
                )
        start += len(values)
    return np.concatenate(found)


def write(directory: Path, values: NDArray[Any]) -> None:
    np.save(directory / FILE, values)


def read(directory: Path, config: DataConfig) -> Arrangement:
    return arranged(np.load(directory / FILE, allow_pickle=False), config)


def arranged(values: NDArray[Any], config: DataConfig) -> Arrangement:
    """Groups or times, made of the numbers that `collected` gave."""
    return Arrangement(groups=values) if config.group_column is not None else Arrangement(times=values)


def _numbered() -> Any:
    """Numbers groups in the order in which they come; -1 where there is none."""
    seen: dict[Any, int] = {}

    def number(value: Any) -> int:
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return -1
        if not isinstance(value, str | int | float | date):
            raise ValueError(f"holds {type(value).__name__} values, which are no names of groups")
        return seen.setdefault(value, len(seen))

    return number


def moment(value: Any) -> float:
    """A number, or the seconds since 1970 of a date or of a text in ISO 8601; NaN where there is none.

    A time of no zone is one of UTC.
    """
    if value is None or value == "":
        return math.nan
    if isinstance(value, bool):
        raise ValueError("holds truth values, which are no times")
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"holds {value[:40]!r}, which is no number and no date such as 2024-05-31") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        raise ValueError(f"holds {type(value).__name__} values, which are no times")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _missing(value: Any) -> bool:
    return bool(value < 0) if isinstance(value, np.integer) else bool(np.isnan(value))
