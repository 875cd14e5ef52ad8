"""Packages that the user allowed once, for good: a list in the user's own config directory, of installed packages."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from attnpred.errors import UserError, suggest

GROUP = "attnpred.packages"  # the entry points by which a distribution offers a package


def file() -> Path:
    """Where the list is kept."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "attnpred" / "packages.json"


def names() -> list[str]:
    """The packages that are allowed."""
    try:
        content = json.loads(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{file()}: cannot be read ({error}); mend or delete the file") from None
    found = content.get("allowed") if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(name, str) and name.isidentifier() for name in found):
        raise UserError(f"{file()}: does not list packages; mend or delete the file")
    return found


def offered() -> dict[str, str]:
    """The packages that installed distributions offer, each with its distribution's name and version."""
    from importlib import metadata

    found = {}
    for point in metadata.entry_points(group=GROUP):
        if point.dist is not None:
            found[point.module.partition(".")[0]] = f"{point.dist.name} {point.dist.version}"
    return dict(sorted(found.items()))


def allow(name: str, installed: Mapping[str, list[str]]) -> None:
    """Adds an installed package to the list; `installed` maps each package to its distributions."""
    if name not in installed:
        known = [*offered(), *sorted(installed)]
        raise UserError(
            f"--allow {name}: no installed package; name one that pip installed, or give --package for a folder"
            f"{suggest(name, known)}"
        )
    _keep([*names(), name])


def forget(name: str) -> None:
    """Takes a package off the list."""
    kept = names()
    if name not in kept:
        raise UserError(f"--forget {name}: is not allowed anyway; allowed are {', '.join(kept) or 'none'}")
    _keep([one for one in kept if one != name])


def _keep(allowed: list[str]) -> None:
    try:
        file().parent.mkdir(parents=True, exist_ok=True)
        draft = file().with_name(f".packages.{os.getpid()}")
        draft.write_text(json.dumps({"allowed": sorted(set(allowed))}, indent=2) + "\n", encoding="utf-8")
        draft.replace(file())  # in one step
    except OSError as error:
        raise UserError(f"{file()}: cannot be written ({error.strerror}); set XDG_CONFIG_HOME to another") from None
