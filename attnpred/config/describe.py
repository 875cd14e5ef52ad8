"""The options of a config one by one, as the help lists them and messages compare names with them."""

import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

from attnpred.config.schema import expectation, join, options_of


@dataclass(frozen=True)
class Described:
    """One option as the help shows it."""

    path: str
    value: Any
    allowed: str
    doc: str


def describe(value: Any, path: str = "") -> Iterator[Described]:
    """Every option below a built dataclass, in the order it was declared."""
    hints = typing.get_type_hints(type(value))
    for declared in fields(value):
        current, where = getattr(value, declared.name), join(path, declared.name)
        inner = typing.get_args(hints[declared.name])[1:]  # of what a mapping holds
        if is_dataclass(current):
            yield from describe(current, where)
        elif isinstance(current, dict) and current and inner and is_dataclass(inner[0]):
            for name, one in current.items():
                yield from describe(one, join(where, name))
        elif declared.name != "_target_":
            yield Described(
                where, current, expectation(hints[declared.name], declared), declared.metadata.get("doc", "")
            )


def paths(kind: type, value: Any, path: str = "") -> Iterator[str]:
    """Every dotted name that a config of this shape may hold: what a mistyped one is compared with."""
    if isinstance(value, dict) and "_target_" in value:
        kind = options_of(value["_target_"], join(path, "_target_"), base=kind)
    for name, hint in typing.get_type_hints(kind).items():
        if typing.get_origin(hint) is ClassVar:
            continue
        where, given = join(path, name), value.get(name) if isinstance(value, dict) else None
        inner = typing.get_args(hint)[1:]  # of what a mapping holds
        yield where
        if is_dataclass(hint):
            yield from paths(typing.cast(type, hint), given, where)
        elif isinstance(given, dict) and inner and is_dataclass(inner[0]):
            for key, one in given.items():
                yield from paths(typing.cast(type, inner[0]), one, join(where, str(key)))
