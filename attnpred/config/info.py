"""Where a config comes from: its files, in the order in which each may change what those before it said."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.config import help_page, packages, untrusted
from attnpred.config.composed import composed
from attnpred.config.folders import CONF, folders
from attnpred.config.overrides import SEVERAL, parse
from attnpred.config.wanted import Wanted
from attnpred.errors import Mistakes

LAST = ("experiment", "debug")  # groups whose files change what those of all others said
NOT_OURS = ("hydra/env", "hydra/output", "hydra/help", "hydra/hydra_help", "hydra/hydra_logging", "hydra/job_logging")


def page(overrides: list[str], extra_dir: str | None = None) -> str:
    changes = help_page.changed(help_page.options(overrides, extra_dir))
    lines = ["Files:", *(f"  {_near(file)}" for file in files(overrides, extra_dir))]
    lines += ["", "Options other than the defaults:", *changes] if changes else ["", "All options are the defaults."]
    return "\n".join(lines)


def files(overrides: list[str], extra_dir: str | None = None) -> list[Path]:
    """The files, those that others build upon before these."""
    mistakes = Mistakes()
    wanted = Wanted.of(parse(overrides, mistakes), extra_dir, mistakes)
    mistakes.tell()
    further = [*packages.conf_folders(), *([Path(extra_dir)] if extra_dir else [])]
    choices: Any = composed(tuple(wanted.choices), further).hydra.runtime.choices
    found = [CONF / "config.yaml"]
    for group, name in sorted(choices.items(), key=lambda pair: pair[0] in LAST):
        if group not in NOT_OURS and name is not None:
            names = name if group == SEVERAL and not isinstance(name, str) else [name]
            for one in names:
                found += _with_bases(group, str(one), extra_dir)
    return list(dict.fromkeys(found))


def _with_bases(group: str, name: str, extra_dir: str | None) -> Iterator[Path]:
    file = next((f for f in (folder / group / f"{name}.yaml" for folder in folders(extra_dir)) if f.is_file()), None)
    if file is None:
        return
    content = untrusted.read_yaml(file)
    listed = content.get("defaults") if isinstance(content, dict) else None
    for base in listed if isinstance(listed, list) else ():
        if isinstance(base, str) and base not in ("_self_", name):
            yield from _with_bases(group, base, extra_dir)
    yield file


def _near(file: Path) -> str:
    near = os.path.relpath(file)
    return str(file) if near.startswith("..") else near
