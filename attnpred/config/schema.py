"""Typed options: how a field is declared, how a plain value becomes one, and how errors read.

Stands on the standard library alone, so that a wrong option is answered before anything heavy is imported.
"""

import functools
import importlib
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Union

from attnpred.config import hints, packages, slices
from attnpred.errors import Mistakes, Untrusted, UserError, suggest

PACKAGE = Path(__file__).parents[1]
# Classes of ours that a config file may name: those of these rooms and no others, so that a stranger's file runs no
# code. Beside them there are those of packages that the user named.
TARGET_ROOMS = (
    *sorted(f"attnpred.modalities.{file.parent.name}" for file in (PACKAGE / "modalities").glob("*/reader.py")),
    *("attnpred.explain", "attnpred.models", "attnpred.tasks"),
    *("attnpred.sweep.launchers", "attnpred.sweep.sweepers"),
)
WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
LARGEST_INTEGER = 2**63  # what torch, numpy and Arrow count in
LONGEST_GROUP = 80  # letters shown of a group of options
LONGEST_SHOWN = 200  # bits of an integer that a message writes out


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
    if isinstance(default, list | dict):  # each config gets one of its own
        return field(metadata=metadata, default_factory=lambda: copy(default))
    return field(metadata=metadata, default=default)


@dataclass(frozen=True)
class Asked:
    """What messages can say of the options that were asked for, beside the schema."""

    hint: Callable[[str], str]  # of the name of an option that there is not
    typed: Mapping[str, str] = field(default_factory=dict)  # values as they stand on the command line
    refers: Mapping[str, list[str]] = field(default_factory=dict)  # options that take others' values
    skip: frozenset[str] = frozenset()  # groups that are not looked into, since more would be wrong than was done


def build(kind: type, value: Any, path: str = "", asked: Asked | None = None) -> Any:
    """Turns a plain mapping into the dataclass `kind`, or raises a UserError that names each place that is wrong."""
    mistakes = Mistakes()
    found = _Builder(asked or Asked(hint=lambda where: ""), mistakes).build(kind, value, path)
    mistakes.tell()
    return found


def note(kind: type, value: Any, asked: Asked, mistakes: Mistakes) -> Any:
    """As `build`, but notes what is wrong; None where anything is, or was before."""
    with mistakes.noted():
        found = _Builder(asked, mistakes).build(kind, value, "")
    return None if mistakes.found else found


class _Builder:
    def __init__(self, asked: Asked, mistakes: Mistakes) -> None:
        self.asked, self.mistakes = asked, mistakes
        self.wrong: set[str] = set()  # options

    def build(self, kind: type, value: Any, path: str) -> Any:
        """None where something below is wrong, which is noted."""
        if not isinstance(value, dict):
            raise UserError(f"{path}={self._shown(path, value)}: must be a group of options")
        if "_target_" in {f.name for f in fields(kind)}:
            kind = options_of(value.get("_target_"), place=f"{path}._target_", base=kind)
        known = {f.name: f for f in fields(kind)}
        before = self.mistakes.count if path else 0
        for key in value:
            if key not in known:
                self.mistakes.add(self._unknown(join(path, str(key)), [join(path, name) for name in known]))
        converted = self._converted(kind, value, path, known)
        if self.mistakes.count > before or converted is None:
            return None
        result = kind(**converted)
        if hasattr(result, "check"):
            try:
                result.check()
            except Invalid as error:
                wrong = functools.reduce(lambda group, key: group[key], error.name.split("."), value)
                where = join(path, error.name)
                self._note(where, UserError(f"{where}={self._shown(where, wrong)}: {error}"))
        return result

    def _converted(
        self, kind: type, value: dict[str, Any], path: str, known: dict[str, Field[Any]]
    ) -> dict[str, Any] | None:
        """The fields' values; None where one is wrong."""
        types_of, converted = typing.get_type_hints(kind), {}
        fine = True
        for name, declared in known.items():
            where = join(path, name)
            if where in self.asked.skip:
                continue
            try:
                if name in value:
                    converted[name] = self._convert(types_of[name], value[name], where, declared)
                elif declared.default is MISSING and declared.default_factory is MISSING:
                    raise UserError(f"{where}: missing; set it in the config file or on the command line")
            except Untrusted:  # without the package no more can be said
                raise
            except UserError as error:
                fine = False
                self._note(where, error)
        return converted if fine else None

    def _note(self, where: str, error: UserError) -> None:
        """Unless the option only took the value of another, of which the same was said."""
        if not self.wrong.intersection(self.asked.refers.get(where, ())):
            self.mistakes.add(error)
        self.wrong.add(where)

    def _unknown(self, where: str, beside: list[str]) -> UserError:
        return UserError(f"{where}: no such option{self.asked.hint(where) or suggest(where, beside)}")

    def _convert(self, kind: Any, value: Any, path: str, declared: Field[Any]) -> Any:
        if is_dataclass(kind):
            return self.build(typing.cast(type, kind), value, path)
        shown = self._shown(path, value)
        accepted = alternatives(kind)
        for choice in accepted:
            if typing.get_origin(choice) is list and isinstance(value, list):
                (item,) = typing.get_args(choice)
                return [self._convert(item, v, f"{path}[{i}]", declared) for i, v in enumerate(value)]
            if typing.get_origin(choice) is dict and isinstance(value, dict):
                kept = typing.get_args(choice)[1]
                if not is_dataclass(kept):
                    _require_numbers(value, path)
                    return value
                return {k: self.build(typing.cast(type, kept), v, join(path, str(k))) for k, v in value.items()}
            if (choice is None and value is None) or (type(value) is type(choice) and value == choice):
                return value
            if (
                isinstance(choice, type)
                and isinstance(value, choice)
                and not (isinstance(value, bool) and choice is not bool)
            ):
                return _in_range(value, path, declared, kind, shown)
            if choice is float and isinstance(value, int) and not isinstance(value, bool):
                _require_numbers(value, path)
                return _in_range(float(value), path, declared, kind, shown)
        raise UserError(f"{path}={shown}: must be {expectation(kind, declared)}{_meant(value, accepted)}")

    def _shown(self, path: str, value: Any) -> str:
        return self.asked.typed.get(path) or show(value)


def _meant(value: Any, accepted: list[Any]) -> str:
    words = [choice for choice in accepted if isinstance(choice, str)]
    usual = hints.WORDS.get(str(value).lower())
    return f"; did you mean {usual}?" if usual in words else suggest(str(value), words)


def _in_range(value: Any, path: str, declared: Field[Any], kind: Any, shown: str) -> Any:
    if isinstance(value, bool | str):
        return value
    tests = {"at least": value.__ge__, "above": value.__gt__, "at most": value.__le__, "below": value.__lt__}
    # NaN compares false with everything, so it fails whatever bound there is
    if not all(tests[word](type(value)(bound)) for word, bound in declared.metadata.get("bounds", {}).items()):
        raise UserError(f"{path}={shown}: must be {expectation(kind, declared)}")
    _require_numbers(value, path)
    return value


def _require_numbers(value: Any, path: str) -> None:
    """Raises for a number, in plain containers too, that no computation bears: without end, or beyond 64 bits."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{path}={show(value)}: must be a finite number, of less than 1.8e308; give one")
    if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
        raise UserError(f"{path}={show(value)}: must be an integer of 64 bits, of less than 9.3e18; give a smaller one")
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _require_numbers(inner, join(path, str(key)) if isinstance(value, dict) else f"{path}[{key}]")


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
    bounds = " and ".join(f"{word} {_bound(bound)}" for word, bound in declared.metadata.get("bounds", {}).items())
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
            parts.append(WORDS.get(choice, choice.__name__))
        elif choice is not None and not isinstance(choice, str):
            parts.append(str(choice))
    return ", or ".join(parts + ["null"] * (None in accepted))


def _bound(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.12g}"


def options_of(target: Any, place: str, base: type | None = None) -> type:
    """The options dataclass of a class named by `_target_`, of attnpred's own or of a package that the user named."""
    # every part an identifier: as a path, a part could lead to any file
    named = isinstance(target, str) and all(part.isidentifier() for part in target.split("."))
    module, _, name = target.rpartition(".") if named else ("", "", "")
    top = module.partition(".")[0]
    if module.rpartition(".")[0] not in TARGET_ROOMS and top not in packages.trusted():
        if module and top != PACKAGE.name and top not in sys.stdlib_module_names:
            raise Untrusted(f"{place}={show(target)}", top)
        rooms = ", ".join(f"{room}.*" for room in TARGET_ROOMS)
        raise UserError(
            f"{place}={show(target)}: not allowed; a config file may name classes of {rooms} only, and of packages "
            "given by --package"
        )
    found = slices.read(module, name + "Config")
    if not is_dataclass(found) or (base is not None and not issubclass(typing.cast(type, found), base)):
        raise _no_options(f"{place}={show(target)}", module, name, base)
    kept = {f.name for f in fields(found)}
    for option_name, hint in vars(found).get("__annotations__", {}).items():
        if option_name not in kept and ClassVar not in (hint, typing.get_origin(hint)):
            raise UserError(
                f"{place}={show(target)}: {name}Config declares {option_name}, but is no dataclass; write "
                "@dataclass(kw_only=True) above it"
            )
    return typing.cast(type, found)


def _no_options(what: str, module: str, name: str, base: type | None) -> UserError:
    file = packages.file_of(module)
    if file is None:
        return UserError(f"{what}: no such class with options of its own, since there is no file of {module}; mend it")
    wanted = f"{name}Config({base.__name__ if base else ''})"
    remedy = f"declare {wanted} beside it" if module.partition(".")[0] != PACKAGE.name else "mend the name"
    return UserError(f"{what}: no such class with options of its own in {file}; {remedy}")


def defaults(kind: type) -> dict[str, Any]:
    """The options that need not be given, and their values."""
    found = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}
    return {name: value for name, value in found.items() if value is not MISSING}


def load(target: str, place: str = "_target_") -> Any:
    """The class that a checked `_target_` names. What is wrong in a package's file shows as its own traceback."""
    module, _, name = target.rpartition(".")
    if module.partition(".")[0] == PACKAGE.name:
        return getattr(importlib.import_module(module), name)
    return packages.resolve_class(target, place)


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def show(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, int) and value.bit_length() > LONGEST_SHOWN:
        return f"an integer of {value.bit_length():,} bits"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    long = isinstance(value, dict) and len(text) > LONGEST_GROUP
    return f"{text[:LONGEST_GROUP]}…" if long else text
