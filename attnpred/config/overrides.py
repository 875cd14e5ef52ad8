"""A user's words as Hydra reads them: one override a word, and the jobs that several values make."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from attnpred.config import schema, swept
from attnpred.config.options import Config
from attnpred.errors import UserError

SEVERAL = "callbacks"  # a group of packages', of which several files may be chosen


def parse(overrides: list[str]) -> list[Override]:
    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except (HydraException, OmegaConfBaseException, ValueError, RecursionError):
            override = None
        if override is None or not override.key_or_group.strip():
            raise UserError(f"{text}: not an override; write key=value (quote values that hold =, spaces or brackets)")
        parsed.append(override)
    return parsed


def expand(overrides: list[str]) -> Iterator[list[str]]:
    """Every job of a sweep as its own overrides, in the order in which Hydra's basic sweeper runs them."""
    choices, parsed = [], parse(overrides)
    swept.refuse_endless(parsed)
    for override in parsed:
        if override.is_discrete_sweep():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        elif override.is_sweep_override():
            raise UserError(f"{override.input_line}: holds no values to go through; list them, as in key=1,2,3")
        else:
            choices.append([str(override.input_line)])
    return (list(job) for job in itertools.product(*choices))


def steers(override: Override) -> bool:
    """True where it is meant for Hydra's launcher and sweeper, not for the experiment."""
    return re.split("[./]", override.key_or_group)[0] == "hydra"


def choice_of(group: str, value: Any, names: list[str]) -> str | None:
    """How Hydra is told which file of a group, or which files, to take; refuses what the group does not have."""
    several = group == SEVERAL and isinstance(value, list)
    needed = value is None and (group.startswith("hydra/") or group in {field.name for field in fields(Config)})
    for one in value if several else [value]:
        if needed or (one is not None and one not in names):
            wanted = (
                f"must be one of {', '.join(names)}" if names else "no package has such a file; name it by --package"
            )
            raise UserError(f"{group}={schema.show(one)}: {wanted}{schema.suggest(str(one), names)}")
    return None if value is None else f"{group}={'[' + ','.join(value) + ']' if several else value}"
