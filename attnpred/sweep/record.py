"""What `sweep.json` may hold. It may come from a stranger, or be damaged: it is looked at before anything is done."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from attnpred.errors import UserError
from attnpred.sweep.job import Status

LARGEST = 256 * 2**20  # bytes; a hundred thousand jobs take a quarter of it
LARGEST_NUMBER = 2**63
Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    """A text that can be written to a file and given to a program."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def name(value: Any) -> bool:
    return text(value) and value.isidentifier()


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(low: int) -> Check:
    return lambda value: type(value) is int and value >= low


def several(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def named(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(text, value)) and all(map(check, value.values()))


def or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def notes(value: Any) -> bool:
    """What a sweeper keeps for itself."""
    return named(lambda _: True)(value) and all(or_none(text)(value.get(key)) for key in ("study_name", "worker"))


SWEEP: dict[str, Check] = {
    "overrides": several(text),
    "config_dir": or_none(text),
    "directory": text,
    "objective": lambda value: bool(value) and named(one_of("maximize", "minimize"))(value),
    "jobs": several(lambda value: isinstance(value, dict)),
}
MORE: dict[str, Check] = {
    "packages": several(name),
    "launcher": named(lambda _: True),
    "sweeper": notes,
    "status": one_of("running", "interrupted", "failed", "done"),
    "started": text,
    "ended": or_none(text),
    "resumed": several(text),
    "host": text,
    "version": text,
    "variables": named(text),
    "seal": text,
}
JOB: dict[str, Check] = {"number": whole(0), "overrides": several(text), "directory": text}
MORE_OF_JOB: dict[str, Check] = {
    "status": one_of(*get_args(Status)),
    "exit_code": or_none(whole(-(2**31))),
    "values": named(number),
    "error": or_none(text),
    "started": or_none(text),
    "ended": or_none(text),
    "trial": or_none(whole(0)),
    "devices": or_none(whole(1)),
}


def read(file: Path) -> dict[str, Any]:
    """The content of the file; raises UserError for whatever is not as a sweep writes it."""
    try:
        if not file.is_file():
            raise ValueError("it is no file")
        if file.stat().st_size > LARGEST:
            raise ValueError(f"it holds more than {LARGEST // 2**20} MiB")
        content = json.loads(
            file.read_text(encoding="utf-8"), parse_int=_integer, parse_float=_finite, parse_constant=_finite
        )
        _check("", content, SWEEP, MORE)
        for place, job in enumerate(content["jobs"]):
            _check(f"jobs[{place}].", job, JOB, MORE_OF_JOB)
            if (job["number"], job["directory"]) != (place, str(place)):
                raise ValueError(f"job {place} is not in its place")
        return dict(content)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); restore the file") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise UserError(f"{file}: does not describe a sweep ({reason}); restore the file") from None


def _check(place: str, value: Any, needed: dict[str, Check], further: dict[str, Check]) -> None:
    if not isinstance(value, dict):
        raise ValueError("it is no group of names and values")
    for key in needed.keys() - value.keys():
        raise ValueError(f"{place}{key} is missing")
    for key, inner in value.items():
        check = needed.get(key) or further.get(key)
        if check is None:
            raise ValueError(f"{place}{key} is unknown")
        if not check(inner):
            raise ValueError(f"{place}{key} is not what stands there")


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= LARGEST_NUMBER:
        raise ValueError(f"{digits[:8]}… is too large a number")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits[:8]} is no finite number")
    return value
