"""The head of a config file that is not shipped: its package, and its list `defaults`, of which Hydra says little."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from attnpred.config import untrusted
from attnpred.config.folders import CONF, known_groups, names_in, no_such
from attnpred.errors import UserError

GLOBAL = re.compile(r"^#\s*@package\s+_global_\s*$", re.MULTILINE)
HEAD = "# @package _global_"
EXAMPLE = "- override /model: bert"


def check(file: Path, content: Any, group: str, searched: tuple[Path, ...], options: set[str]) -> None:
    """Raises where the file of a group could not be used. `options` are the groups that are part of a config."""
    if group not in options and not group.startswith("hydra/") and not GLOBAL.search(file.read_text(encoding="utf-8")):
        raise UserError(f"{file}: lacks the line by which it sets options of every group; begin it with {HEAD}")
    listed = content.get("defaults", []) if isinstance(content, dict) else []
    if not isinstance(listed, list):
        raise UserError(f"{file}: defaults: must be a list; write each choice in a line of its own, as {EXAMPLE}")
    for entry in listed:
        _check_entry(file, entry, group, searched)


def _check_entry(file: Path, entry: Any, group: str, searched: tuple[Path, ...]) -> None:
    if isinstance(entry, str):
        where, _, name = entry.rpartition("/")
        key, values, shown = f"/{group}/{where}".rstrip("/") if not entry.startswith("/") else where, [name], entry
    elif isinstance(entry, dict) and len(entry) == 1:
        [(key, value)] = entry.items()
        values, shown = value if isinstance(value, list) else [value], f"{key}: {value}"
    else:
        raise UserError(f"{file}: defaults: {entry}: must be the name of a file, or a group and a name, as {EXAMPLE}")
    words = str(key).split()
    if entry == "_self_" or "@" in shown or "$" in shown or "optional" in words:
        return
    place, overrides = words[-1] if words else "", "override" in words
    chosen = place.lstrip("/") if place.startswith("/") else f"{group}/{place}"
    for name in values:
        if name is None or name == "_self_":
            continue
        names = names_in(chosen, searched)
        if not names:
            absolute = place.lstrip("/")
            remedy = (
                f"write override /{absolute}: {name}"
                if names_in(absolute, searched)
                else no_such("", absolute.rpartition("/")[2], known_groups(searched))
            )
            raise UserError(f"{file}: defaults: {shown}: there is no group {chosen}; {remedy}")
        if str(name).removesuffix(".yaml") not in names:
            raise UserError(f"{file}: defaults: {shown}: {no_such(chosen, str(name), names, searched)}")
    if chosen in _chosen_already() and not overrides and isinstance(entry, dict):
        remedy = f"write override /{chosen}: {value}"
        raise UserError(f"{file}: defaults: {shown}: every run has a {chosen} already; {remedy}")


@cache
def _chosen_already() -> set[str]:
    """The groups of which the shipped config.yaml takes a file."""
    listed = untrusted.read_yaml(CONF / "config.yaml")["defaults"]
    return {str(key).split()[-1] for entry in listed if isinstance(entry, dict) for key in entry}
