"""Groups and times of a split's rows, as columns hold them: read once, and kept beside what is prepared."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.data.splits import Arrangement
from attnpred.data.store import digest
from attnpred.errors import BadRow, UserError

VERSION = 1  # raised when the code makes other files of the same input
CHUNK = 10_000
FILE = "arrangement.npy"


def column_of(config: DataConfig) -> dict[str, str]:
    """Option → column of what binds rows together or orders them; empty where there is none."""
    named = {"data.group_column": config.group_column, "data.time_column": config.time_column}
    return {option: column for option, column in named.items() if column is not None}


def collected(
    config: DataConfig, chunks: Iterator[list[list[Any]]], place: str, *, everywhere: bool = False
) -> NDArray[Any]:
    """The column of `column_of` as numbers; `place` names the split.

    Groups are numbered as they come, or by what they are called, which is the same number `everywhere`.
    """
    ((option, column),) = column_of(config).items()
    number: Any = moment
    if config.group_column is not None:
        number = _digest if everywhere else _numbered()
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


@dataclass(frozen=True)
class Side:
    """Rows of the part `split`, as they are numbered in the source's split `name`, and what binds or orders them."""

    split: str
    name: str
    rows: NDArray[Any]
    numbers: NDArray[Any]  # a row's, as `collected` gives them everywhere

    def known(self) -> NDArray[Any]:
        """Places in `rows` of those that have a group or time."""
        missing = self.numbers < 0 if self.numbers.dtype.kind == "i" else np.isnan(self.numbers)
        return np.flatnonzero(~missing)

    def row(self, place: int) -> str:
        return f"row {int(self.rows[place])} of {self.name}"


def require_apart(config: DataConfig, sides: Sequence[Side]) -> None:
    """Raises where a group is in two parts, or where a part of later rows does not come later."""
    for earlier, later in combinations(sides, 2):
        if config.group_column is not None:
            _require_other_groups(config, earlier, later)
        else:
            _require_later(config, earlier, later)


def _require_other_groups(config: DataConfig, one: Side, other: Side) -> None:
    again = other.known()[np.isin(other.numbers[other.known()], one.numbers)]
    if not len(again):
        return
    count = len(np.unique(other.numbers[again]))
    twin = int(np.flatnonzero(one.numbers == other.numbers[again[0]])[0])
    raise UserError(
        f"data.group_column={config.group_column}: {count:,} group{'s' * (count != 1)} of {other.split} "
        f"{'is' if count == 1 else 'are'} in {one.split} too ({other.row(again[0])} and {one.row(twin)} are of one); "
        f"move the rows, or set data.group_column=null"
    )


def _require_later(config: DataConfig, earlier: Side, later: Side) -> None:
    before, after = earlier.known(), later.known()
    if not len(before) or not len(after):
        return
    last, first = before[earlier.numbers[before].argmax()], after[later.numbers[after].argmin()]
    if earlier.numbers[last] >= later.numbers[first]:
        raise UserError(
            f"data.time_column={config.time_column}: {earlier.split} does not lie before {later.split} "
            f"({earlier.row(last)} is not before {later.row(first)}); move the rows, or set data.time_column=null"
        )


def write(directory: Path, values: NDArray[Any]) -> None:
    np.save(directory / FILE, values)


def read(directory: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(directory / FILE, allow_pickle=False)
    return found


def arranged(values: NDArray[Any], config: DataConfig) -> Arrangement:
    """Groups or times, made of the numbers that `collected` gave."""
    return Arrangement(groups=values) if config.group_column is not None else Arrangement(times=values)


def _numbered() -> Any:
    """Numbers groups in the order in which they come; -1 where there is none."""
    seen: dict[Any, int] = {}
    return lambda value: seen.setdefault(value, len(seen)) if _is_group(value) else -1


def _digest(value: Any) -> int:
    """A group's number by what it is called, which is 0 or more; -1 where there is none."""
    if not _is_group(value):
        return -1
    name = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return digest([name.encode("utf-8", "surrogatepass")]) >> 1


def _is_group(value: Any) -> bool:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return False
    if not isinstance(value, str | int | float | date):
        raise ValueError(f"holds {type(value).__name__} values, which are no names of groups")
    return True


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
