"""Which columns of a table are its times and its variables, where the user did not say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.modalities.series import times

CLOCKS = ("date", "time", "datetime", "timestamp", "ds", "day", "month", "year", "date_time")
Columns = dict[str, list[Any]]


def settled_by(config: Any, sample: Callable[[], Columns]) -> Any:
    """The same options with every column named; `sample` reads the first rows."""
    asked = (config.targets or {}).get("future")
    if config.columns is not None:
        return config if asked else _forecasting(config, config.columns)
    found = sample()
    named = (
        config.time_column,
        config.series_column,
        config.split_column,
        *config.known_columns,
        *config.static_columns,
    )
    rest = {name: values for name, values in found.items() if name not in named}
    time = config.time_column
    if time is None:
        time = next((name for name in rest if name.lower() in CLOCKS and _are_times(rest[name])), None)
        rest.pop(time or "", None)
    numbers = [name for name, values in rest.items() if _are_numbers(values)]
    if not numbers:
        raise UserError(f"data.columns: {config.source} has no column of numbers; name those that are read")
    say(f"columns of {config.source}: data.time_column={time or 'null'}, data.columns=[{','.join(numbers)}]")
    settled = replace(config, columns=numbers, time_column=time)
    return settled if asked else _forecasting(settled, numbers)


def _forecasting(config: Any, names: list[str]) -> Any:
    """Every variable that is read is forecast too."""
    return replace(config, targets={**(config.targets or {}), "future": list(names)})


def _are_times(values: list[Any]) -> bool:
    try:
        times.read(values)
    except ValueError:
        return False
    return any(value not in (None, "") for value in values)


def _are_numbers(values: list[Any]) -> bool:
    given = [value for value in values if value not in (None, "")]
    return bool(given) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given)
