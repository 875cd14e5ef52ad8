"""Typed options: how a field is declared, how a plain value becomes one, and how errors read.

Stands on the standard library alone, so that a wrong option is answered before anything heavy is imported.
"""

import ast
import difflib
import functools
import importlib
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Union

from attnpred.errors import UserError

PACKAGE = Path(__file__).parents[1]
# Classes a config file may name: those of these rooms and no others, so that a stranger's file runs no code.
TARGET_ROOMS = (
    *("attnpred.modalities.image", "attnpred.modalities.text", "attnpred.explain", "attnpred.models", "attnpred.tasks"),
    *("attnpred.sweep.launchers", "attnpred.sweep.sweepers"),
)
# What the options of a class may be declared with; the rest of its file is not run to read them.
LIGHT_MODULES = ("collections.abc", "dataclasses", "typing", "attnpred.config.options", "attnpred.config.schema")
WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


class Invalid(Exception):
    """Raised by a dataclass' `check`: the field at fault, and what would be right."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


def option(
    doc: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    default: Any = MISSING,
) -> Any:
    """Declares one option: its line of documentation and the range its number must lie in."""
    bounds = {"at least": ge, "above": gt, "at most": le, "below": lt}
    metadata = {"doc": doc, "bounds": {word: bound for word, bound in bounds.items() if bound is not None}}
    return field(metadata=metadata, default=default)


def build(kind: type, value: Any, path: str = "", names: list[str] | None = None) -> Any:
    """Turns a plain mapping into the dataclass `kind`, or raises a one-line UserError that names the place."""
    if not isinstance(value, dict):
        raise UserError(f"{path}={show(value)}: must be a group of options")
    if "_target_" in {f.name for f in fields(kind)}:
        kind = options_of(value.get("_target_"), place=f"{path}._target_", base=kind)
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for key in value:
        if key not in known:
            where = join(path, str(key))
            raise UserError(f"{where}: no such option{suggest(where, names or [join(path, k) for k in known])}")
    converted = {}
    for name, declared in known.items():
        where = join(path, name)
        if name in value:
            converted[name] = _convert(hints[name], value[name], where, declared, names)
        elif declared.default is MISSING:
            raise UserError(f"{where}: missing; set it in the config file or on the command line")
    result = kind(**converted)
    if hasattr(result, "check"):
        try:
            result.check()
        except Invalid as error:
            wrong = functools.reduce(lambda group, key: group[key], error.name.split("."), value)
            raise UserError(f"{join(path, error.name)}={show(wrong)}: {error}") from None
    return result


def _convert(kind: Any, value: Any, path: str, declared: Field[Any], names: list[str] | None) -> Any:
    if is_dataclass(kind):
        return build(typing.cast(type, kind), value, path, names)
    accepted = alternatives(kind)
    for choice in accepted:
        if typing.get_origin(choice) is list and isinstance(value, list):
            (item,) = typing.get_args(choice)
            return [_convert(item, v, f"{path}[{i}]", declared, names) for i, v in enumerate(value)]
        if typing.get_origin(choice) is dict and isinstance(value, dict):
            return value
        if (choice is None and value is None) or (isinstance(choice, str) and value == choice):
            return value
        if (
            isinstance(choice, type)
            and isinstance(value, choice)
            and not (isinstance(value, bool) and choice is not bool)
        ):
            return _in_range(value, path, declared, kind)
        if choice is float and isinstance(value, int) and not isinstance(value, bool):
            return _in_range(float(value), path, declared, kind)
    words = [choice for choice in accepted if isinstance(choice, str)]
    raise UserError(f"{path}={show(value)}: must be {expectation(kind, declared)}{suggest(str(value), words)}")


def _in_range(value: Any, path: str, declared: Field[Any], kind: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    tests = {"at least": value.__ge__, "above": value.__gt__, "at most": value.__le__, "below": value.__lt__}
    # NaN compares false with everything, so it fails whatever bound there is
    if not all(tests[word](type(value)(bound)) for word, bound in declared.metadata["bounds"].items()):
        raise UserError(f"{path}={show(value)}: must be {expectation(kind, declared)}")
    return value


def alternatives(kind: Any) -> list[Any]:
    """The types and literal values that `kind` admits, unions and Literals taken apart."""
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return [a for arg in typing.get_args(kind) for a in alternatives(arg)]
    if origin is Literal:
        return list(typing.get_args(kind))
    return [None] if kind is type(None) else [kind]


def expectation(kind: Any, declared: Field[Any]) -> str:
    """What a field allows, in words: `an integer of at least 1, or null`."""
    accepted = alternatives(kind)
    bounds = " and ".join(f"{word} {bound:g}" for word, bound in declared.metadata.get("bounds", {}).items())
    words = [w for w in accepted if isinstance(w, str)]
    parts = [f"one of {', '.join(words)}" if len(words) > 1 else words[0]] if words else []
    for choice in accepted:
        if typing.get_origin(choice) is list:
            parts.append(f"a list, each {expectation(typing.get_args(choice)[0], declared)}")
        elif typing.get_origin(choice) is dict:
            parts.append("a group of names and values")
        elif choice in (int, float):
            parts.append(
                WORDS[choice] + (f" of {bounds}" if bounds.startswith("at") else f" {bounds}" if bounds else "")
            )
        elif isinstance(choice, type):
            parts.append(WORDS[choice])
    return ", or ".join(parts + ["null"] * (None in accepted))


@functools.cache
def _class_of(target: str, suffix: str) -> type | None:
    """Reads the dataclass `<Class><suffix>` out of the file that holds it, without running the rest of that file.

    A model's file imports torch; its options must be known before that. Of the file's imports only the light ones run.
    """
    module, _, name = target.rpartition(".")
    file = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        return None
    body = ast.parse(file.read_text(encoding="utf-8")).body
    light = [node for node in body if isinstance(node, ast.ImportFrom) and node.module in LIGHT_MODULES]
    found = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name + suffix]
    if not found:
        return None
    namespace: dict[str, Any] = {"__name__": module}
    exec(compile(ast.Module([*light, *found], []), str(file), "exec", dont_inherit=True), namespace)
    return typing.cast(type, namespace[name + suffix])


def options_of(target: Any, place: str, base: type | None = None) -> type:
    """The options dataclass of a class named by `_target_`; refuses every class that is not attnpred's own."""
    # every part an identifier: as a path, a part could lead to any file
    named = isinstance(target, str) and all(part.isidentifier() for part in target.split("."))
    if not named or target.rpartition(".")[0].rpartition(".")[0] not in TARGET_ROOMS:
        rooms = ", ".join(f"{room}.*" for room in TARGET_ROOMS)
        raise UserError(f"{place}={show(target)}: not allowed; a config file may name classes of {rooms} only")
    found = _class_of(target, "Config")
    if found is None or (base is not None and not issubclass(found, base)):
        raise UserError(f"{place}={show(target)}: no such class with options of its own in that file")
    return found


def load(target: str) -> Any:
    """The class that a checked `_target_` names. Import errors inside its file surface as they are."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


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
        if is_dataclass(current):
            yield from describe(current, where)
        elif declared.name != "_target_":
            yield Described(where, current, expectation(hints[declared.name], declared), declared.metadata["doc"])


def paths(kind: type, value: Any, path: str = "") -> Iterator[str]:
    """Every dotted name that a config of this shape may hold: what a mistyped one is compared with."""
    if isinstance(value, dict) and "_target_" in value:
        kind = options_of(value["_target_"], join(path, "_target_"), base=kind)
    for name, hint in typing.get_type_hints(kind).items():
        if typing.get_origin(hint) is ClassVar:
            continue
        yield join(path, name)
        if is_dataclass(hint):
            yield from paths(
                typing.cast(type, hint), value.get(name) if isinstance(value, dict) else None, join(path, name)
            )


def suggest(wrong: str, names: list[str]) -> str:
    """`; did you mean …?` for the nearest of the names, by its whole path or by its last part."""
    last = wrong.rpartition(".")[2]
    same_end = [n for n in names if n.rpartition(".")[2] == last]
    by_end = {n.rpartition(".")[2]: n for n in reversed(names)}
    close = difflib.get_close_matches(wrong, names, 1, 0.6) or [
        by_end[e] for e in difflib.get_close_matches(last, by_end, 1, 0.6)
    ]
    best = (same_end or close)[:1]
    return f"; did you mean {best[0]}?" if best else ""


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def show(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
