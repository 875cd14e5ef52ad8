"""What a search may draw from, in Hydra's own syntax: `choice(a,b)`, `interval(1,2)`, `tag(log,interval(1e-5,1))`."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep, Sweep

from attnpred.config import compose, describe, schema, swept
from attnpred.config import overrides as overriding
from attnpred.config.options import Config
from attnpred.console.secrets import hide
from attnpred.errors import UserError

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Dimension:
    """One option, and either its choices or the numbers between two, both included."""

    key: str
    choices: dict[Value, str] | None = None  # with how each is typed
    low: float = 0.0  # integers where the option takes integers
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)

    def override(self, value: Value) -> str:
        return f"{self.key}={self.choices[value] if self.choices is not None else repr(value)}"

    def value(self, override: str) -> Value:
        """The value that an override of this dimension's holds."""
        text = override.partition("=")[2]
        if self.choices is not None:
            return next(value for value, typed in self.choices.items() if typed == text)
        return int(text) if self.whole else float(text)

    def ends(self) -> list[Value]:
        """What has to be valid for all to be."""
        return list(self.choices) if self.choices is not None else list(dict.fromkeys((self.low, self.high)))

    def points(self) -> list[Value]:
        """All values, of a dimension that has finitely many."""
        if self.choices is not None:
            return list(self.choices)
        assert self.step is not None
        return [self.low + index * self.step for index in range(self.count())]

    def count(self) -> int:
        """How many those are, without making them."""
        if self.choices is not None:
            return len(self.choices)
        if self.step is None:
            raise UserError(f"{self.key}: an interval has no end of values for a grid; use range(…) or choice(…)")
        return int((self.high - self.low) / self.step + 1e-9) + 1


def split(overrides: list[str]) -> tuple[list[str], list[Dimension]]:
    """The overrides that hold for every job, and what is searched."""
    fixed, dimensions = [], []
    for override in overriding.parse(overrides):
        if override.is_sweep_override():
            dimensions.append(_dimension(override))
        else:
            fixed.append(str(override.input_line))
    return fixed, dimensions


def checked(fixed: list[str], dimensions: list[Dimension], extra_dir: str | None) -> tuple[list[Dimension], Config]:
    """The dimensions, with integers where their options take integers; raises for a value that some option cannot take.

    Every value that bounds a dimension is tried beside the first ones of the others.
    """
    choices = [d.override(d.ends()[0]) for d in dimensions if d.choices is not None]
    allowed = {o.path: o.allowed for o in describe.describe(compose.compose([*fixed, *choices], extra_dir))}
    settled = [_of_integers(d) if "an integer" in allowed.get(d.key, "") else d for d in dimensions]
    usual = [d.override(d.ends()[0]) for d in settled]
    first = compose.compose([*fixed, *usual], extra_dir)
    for place, dimension in enumerate(settled):
        for value in dimension.ends()[1:]:
            compose.compose([*fixed, *usual[:place], dimension.override(value), *usual[place + 1 :]], extra_dir)
    return settled, first


def grid(dimensions: list[Dimension]) -> Iterator[dict[str, Value]]:
    """Every combination; raises where they are more than a sweep can have."""
    swept.refuse_many({f"hydra.sweeper.sampler=grid: {d.key}": d.count() for d in dimensions})
    for values in itertools.product(*(dimension.points() for dimension in dimensions)):
        yield dict(zip((dimension.key for dimension in dimensions), values, strict=True))


def _of_integers(dimension: Dimension) -> Dimension:
    """The dimension with integers for its ends, if that is what they are: intervals come as fractions."""
    low, high = dimension.low, dimension.high
    if dimension.choices is not None or dimension.step is not None or not (low == int(low) and high == int(high)):
        return dimension
    return Dimension(dimension.key, low=int(low), high=int(high), log=dimension.log)


def _dimension(override: Override) -> Dimension:
    sweep, key = override.value(), override.get_key_element()
    if not isinstance(sweep, IntervalSweep):
        swept.count(override)  # refuses what holds no value, or does not end
    assert isinstance(sweep, Sweep)
    for tag in sweep.tags - {"log"}:
        raise UserError(f"{override.input_line}: the tag {tag} means nothing here; there is log")
    log = "log" in sweep.tags
    if isinstance(sweep, IntervalSweep | RangeSweep):
        made = _interval(key, sweep, log) if isinstance(sweep, IntervalSweep) else _range(key, sweep, log, override)
        if not (isfinite(made.low) and isfinite(made.high)):
            raise UserError(f"{override.input_line}: its ends must be finite numbers")
        if made.low > made.high or (log and made.low <= 0):
            wanted = "above 0, and its end not below it" if log else "not above its end"
            raise UserError(f"{override.input_line}: its start must be {wanted}")
        return made
    if log:
        raise UserError(f"{override.input_line}: log is for intervals and ranges")
    typed = list(override.sweep_string_iterator())
    if any(hide(text) != text for text in typed):
        raise UserError(f"{key}: one of its choices holds a secret, which a search would write down; give it by itself")
    raw = [_plain(value, text) for value, text in zip(override.sweep_iterator(), typed, strict=True)]
    return Dimension(key, choices=dict(zip(raw, typed, strict=True)))


def _interval(key: str, sweep: IntervalSweep, log: bool) -> Dimension:
    assert sweep.start is not None
    assert sweep.end is not None
    return Dimension(key, low=sweep.start, high=sweep.end, log=log)


def _range(key: str, sweep: RangeSweep, log: bool, override: Override) -> Dimension:
    start, many = sweep.start, swept.count(override)
    assert start is not None
    ordered = sorted((start, start + (many - 1) * sweep.step))
    step = abs(sweep.step)
    if log and step != 1:
        raise UserError(f"{key}: a range in steps of {schema.show(step)} cannot be logarithmic; use an interval")
    return Dimension(key, low=ordered[0], high=ordered[-1], step=None if log else step, log=log)


def _plain(value: Any, typed: str) -> Value:
    if isinstance(value, QuotedString):
        return value.text
    return value if value is None or isinstance(value, str | int | float | bool) else typed
