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
from attnpred.config.folders import folders, no_such
from attnpred.config.options import Config
from attnpred.errors import Mistakes, UserError

NO_PACKAGE = "no package has such a file; name it by --package"
SEVERAL = "callbacks"  # a group of packages', of which several files may be chosen


def parse(overrides: list[str], mistakes: Mistakes | None = None) -> list[Override]:
    """What can be read; `mistakes` takes what cannot, which otherwise is raised."""
    parser = OverridesParser.create()
    parsed, found = [], mistakes or Mistakes()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except (HydraException, OmegaConfBaseException, ValueError, RecursionError):
            override = None
        if override is None or not override.key_or_group.strip():
            hint = "write key=value (quote values that hold =, spaces or brackets)"
            found.add(UserError(f"{text}: not an override; {hint}"))
        else:
            parsed.append(override)
    if mistakes is None:
        found.tell()
    return parsed


def typed(override: Override) -> str:
    """The value as it stands on the command line."""
    return str(override.input_line).partition("=")[2]


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


def choice_of(group: str, value: Any, names: list[str], extra_dir: str | None) -> str | None:
    """How Hydra is told which file of a group, or which files, to take; refuses what the group does not have."""
    several = group == SEVERAL and isinstance(value, list)
    needed = value is None and (group.startswith("hydra/") or group in {field.name for field in fields(Config)})
    for one in value if several else [value]:
        if needed or (one is not None and one not in names):
            shown = schema.show(one)
            wanted = no_such(group, shown, names, folders(extra_dir)) if names else NO_PACKAGE
            raise UserError(f"{group}={shown}: {wanted}")
    return None if value is None else f"{group}={'[' + ','.join(value) + ']' if several else value}"
