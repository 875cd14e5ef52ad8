"""What one run directory tells about itself, read with tolerance: it may be at work, half written, old or foreign."""

import math
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from attnpred.config import schema, untrusted
from attnpred.config.folders import file_of
from attnpred.console.secrets import printable
from attnpred.errors import UserError
from attnpred.files import plain_json

Value = str | int | float | bool | None

FILES = ("config.yaml", "run.json", "metrics.json")
LARGEST = 2**22  # bytes of a file that is still read
# of run.json, what runs are chosen by or told apart by
ABOUT = ("status", "started", "ended", "host", "code", "attnpred", "planned_steps")
# of `val` in metrics.json; and of `test`
SPLITS = {"val": "best", "test": None}


@dataclass(frozen=True)
class Record:
    """Option → value, result → number; a list is kept as text. `problem` says why the run cannot be compared."""

    path: Path
    about: dict[str, Value] = field(default_factory=dict)
    config: dict[str, Value] = field(default_factory=dict)
    results: dict[str, float] = field(default_factory=dict)
    named: tuple[str, ...] = ()  # options that the command line set
    problem: str | None = None
    parts: tuple[dict[str, Value], ...] = ()  # of the config; runs share them

    @property
    def status(self) -> str:
        return printable(str(self.about.get("status")))

    @property
    def is_run(self) -> bool:
        """True where all is there by which a directory can be told to be a run's."""
        return bool(self.config) and isinstance(self.about.get("status"), str)

    def value(self, name: str) -> Value:
        """An option, a result, or something of run.json; None where the run has nothing of that name."""
        for place in (self.config, self.results, self.about):
            if name in place:
                return place[name]
        return None

    def has(self, name: str) -> bool:
        return name in self.config or name in self.results or name in self.about


def read(path: Path) -> Record:
    """Everything there is to know; what cannot be read is named and otherwise left out."""
    problems: list[str] = []

    def load(name: str, parse: Any) -> Any:
        try:
            status = (path / name).lstat()  # no run links to what is its own; a stranger's would lead elsewhere
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise ValueError
            return parse((path / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError, UserError):
            problems.append(f"{name} cannot be read")
            return None

    described = load("run.json", _mapping)
    config = load("config.yaml", sections)
    results = load("metrics.json", lambda content: dict(_results(_mapping(content))))
    about, named = _about(described or {})
    parts = tuple(config or [])
    return Record(path, about, joined(parts), results or {}, named, problems[0] if problems else None, parts)


def joined(parts: Sequence[dict[str, Value]]) -> dict[str, Value]:
    whole: dict[str, Value] = {}
    for part in parts:
        whole.update(part)
    return whole


def _mapping(content: bytes) -> dict[str, Any]:
    value = plain_json(content)
    if not isinstance(value, dict):
        raise ValueError
    return value


def _about(described: Mapping[str, Any]) -> tuple[dict[str, Value], tuple[str, ...]]:
    about: dict[str, Value] = {key: described[key] for key in ABOUT if isinstance(described.get(key), str | int)}
    packages = described.get("packages")
    if isinstance(packages, dict) and "torch" in packages:
        about["torch"] = str(packages["torch"])
    given = described.get("overrides")
    texts = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    return about, tuple(text.lstrip("+").partition("=")[0] for text in texts)


def sections(content: bytes) -> list[dict[str, Value]]:
    """A config's top-level parts, each flat: `optimizer.lr` → 0.1.

    YAML is slow, and runs that are compared have most of their parts in common: each part is read once.
    """
    text = content.decode("utf-8")
    try:
        return [_section(part) for part in re.split(r"(?m)^(?=[A-Za-z_])", text) if part.strip()]
    except (ValueError, yaml.YAMLError, UserError):
        return [_section.__wrapped__(text)]  # cut where it must not be, as between an alias and what it repeats


@lru_cache(maxsize=8192)
def _section(text: str) -> dict[str, Value]:
    value = untrusted.parse(text, "config.yaml")
    if not isinstance(value, dict):
        raise ValueError("no mapping")
    return dict(_named(flat(value)))


def flat(value: Mapping[Any, Any], path: str = "") -> Iterator[tuple[str, Value]]:
    for key, inner in value.items():
        where = schema.join(path, str(key))
        if isinstance(inner, dict):
            yield from flat(inner, where)
        elif inner is None or isinstance(inner, str | int | float | bool):
            yield where, inner
        else:
            yield where, str(inner)


def _named(options: Iterator[tuple[str, Value]]) -> Iterator[tuple[str, Value]]:
    """Beside the class of model, data and task the name that it is chosen by."""
    for name, value in options:
        yield name, value
        if name == "data.name":
            yield "data", value
        elif name in ("model._target_", "task._target_"):
            yield name.partition(".")[0], file_of(str(value))


def _results(measured: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers by the names that they are logged under; of validation those of the kept checkpoint."""
    for split, part in SPLITS.items():
        values = measured.get(split)
        values = values.get(part) if part and isinstance(values, dict) else values
        if isinstance(values, dict):
            yield from ((f"{split}/{key}", float(v)) for key, v in values.items() if is_number(v))
    tasks = measured.get("continual")
    if isinstance(tasks, dict):
        yield from ((f"continual/{key}", float(v)) for key, v in tasks.items() if is_number(v))
    attention = measured.get("attention")
    scores = attention.get("scores") if isinstance(attention, dict) else None
    for who, found in scores.items() if isinstance(scores, dict) else ():
        for score, interval in found.items() if isinstance(found, dict) else ():
            if isinstance(interval, list) and interval and is_number(interval[0]):
                yield f"attention/{score}" + ("" if who == "attention" else f"_{who}"), float(interval[0])
    yield from ((key, float(value)) for key, value in measured.items() if is_number(value))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def held(value: Value) -> Value:
    """An option as JSON can hold it."""
    return known(value) if isinstance(value, float) else value


def known(value: float | None) -> float | None:
    """None for NaN and infinity, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
