"""The form that plain containers must have before what they hold is used; what else they hold is not looked at."""

import math
from collections.abc import Callable
from typing import Any

# a predicate; fields by their names, with ? behind those that may be missing; or a list of one form, of any length
Form = Any


def misfit(value: Any, form: Form, place: str = "") -> str | None:
    """The first place at which a value is not of the form; None where all is."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return place
        for name, inner in form.items():
            key = name.removesuffix("?")
            if key not in value:
                found = None if name.endswith("?") else f"{place}.{key}".lstrip(".")
            else:
                found = misfit(value[key], inner, f"{place}.{key}".lstrip("."))
            if found is not None:
                return found
        return None
    if isinstance(form, list):
        if not isinstance(value, list | tuple):
            return place
        places = (misfit(one, form[0], f"{place}[{i}]") for i, one in enumerate(value))
        return next((found for found in places if found is not None), None)
    return None if form(value) else place


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    """A count: no truth value, none below 0, and none that no file or tensor could have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def number(value: Any) -> bool:
    """Nothing that a float cannot hold; infinity and what is no number are measured at times."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def finite(value: Any) -> bool:
    return number(value) and math.isfinite(value)


def or_none(form: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or form(value)


def one_of(*values: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def by_name(form: Form) -> Callable[[Any], bool]:
    """A mapping of texts to what has a form."""
    return lambda value: (
        isinstance(value, dict)
        and all(isinstance(name, str) and misfit(inner, form) is None for name, inner in value.items())
    )


def times(count: int, form: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and len(value) == count and all(map(form, value))
