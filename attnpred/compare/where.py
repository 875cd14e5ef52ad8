"""Conditions on runs as they are typed: `model=bert`, `optimizer.lr<1e-4`, `test/accuracy>=0.8`."""

import argparse
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from attnpred.compare.record import ABOUT, Record, Value, is_number
from attnpred.config.schema import suggest
from attnpred.errors import UserError

FORM = re.compile(r"\s*([\w./-]+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", re.DOTALL)
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def declare(parser: argparse.ArgumentParser, effect: str) -> None:
    """Adds the flag by which a verb takes conditions."""
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help=f"{effect}; operators = != < > <= >=; repeatable",
    )


@dataclass(frozen=True)
class Condition:
    text: str  # as it was typed
    name: str
    operator: str
    wanted: str

    def holds(self, value: Value) -> bool:
        """Whether it holds of a run that has this value; of one without any, `!=` alone does."""
        if self.operator in ORDERS:
            return is_number(value) and ORDERS[self.operator](value, float(self.wanted))
        return self._same(value) == (self.operator == "=")

    def _same(self, value: Value) -> bool:
        if value is None or isinstance(value, bool):
            return self.wanted.lower() == {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, str):
            return self.wanted == value
        try:
            return float(self.wanted) == value
        except ValueError:
            return False


def conditions(texts: Iterable[str]) -> list[Condition]:
    return [condition(text) for text in texts]


def condition(text: str, flag: str = "--where") -> Condition:
    found = FORM.fullmatch(text)
    if found is None:
        raise UserError(f"{flag} {text}: not a condition; write NAME=VALUE, or with one of != < > <= >=")
    if found[2] in ORDERS:
        try:
            float(found[3])
        except ValueError:
            raise UserError(f"{flag} {text}: {found[2]} compares numbers; write one in place of {found[3]!r}") from None
    return Condition(text, found[1], found[2], found[3])


def check(names: Iterable[str], records: Iterable[Record], flag: str = "--where") -> None:
    """Refuses a name that no run has, with the nearest that one does."""
    known = names_of(records)
    for name in names:
        if known and name not in known:
            raise UserError(
                f"{flag} {name}: no run has an option or a result of that name{suggest(name, sorted(known))}"
            )


def names_of(records: Iterable[Record]) -> set[str]:
    records = list(records)
    parts = {id(part): part for one in records for part in one.parts}  # most are shared
    return {
        *ABOUT,
        *(name for part in parts.values() for name in part),
        *(name for one in records for name in one.results),
    }


def chosen(records: Iterable[Record], wanted: Iterable[Condition]) -> list[Record]:
    wanted = list(wanted)
    return [one for one in records if all(c.holds(one.value(c.name)) for c in wanted)]
