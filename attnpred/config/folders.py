"""Where config files lie: those shipped, those of packages that the user named, and a directory for one command."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attnpred.config import packages, schema
from attnpred.errors import UserError, suggest
from attnpred.files import path_of

# In an installed package the files lie inside it, in a checkout beside it.
CONF = next(p for p in (schema.PACKAGE / "conf", schema.PACKAGE.parent / "conf") if p.is_dir())


def group_options(group: str, extra_dir: str | None = None) -> list[str]:
    """The names that may be chosen in a group; empty where there is no such group."""
    return names_in(group, folders(extra_dir))


def names_in(group: str, searched: Sequence[Path]) -> list[str]:
    if not group.replace("/", "").replace("_", "").isalnum():
        return []
    try:
        return sorted({file.stem for folder in searched for file in (folder / group).glob("*.yaml")})
    except OSError:  # longer than a name may be
        return []


def known_groups(searched: Sequence[Path]) -> list[str]:
    return sorted({entry.name for folder in searched for entry in folder.iterdir() if entry.is_dir()})


def no_such(group: str, name: str, names: Sequence[str], searched: Sequence[Path] = ()) -> str:
    """Why a group has no file of that name, and what would do."""
    for folder in searched:
        if (file := folder / group / f"{name}.yml").is_file():
            return f"{file} is not read; rename it to {name}.yaml"
    return f"must be one of {', '.join(names)}{suggest(name, list(names))}"


def file_of(target: str) -> str:
    """The name of the file that holds a class, which is the name of its model."""
    return target.rpartition(".")[0].rpartition(".")[2]


def folders(extra_dir: str | None) -> list[Path]:
    if extra_dir is not None and not (path_of(extra_dir, "--config-dir=").is_dir() and Path(extra_dir).is_dir()):
        raise UserError(f"--config-dir={extra_dir}: no such directory; give one that holds group/NAME.yaml files")
    trusted = packages.conf_folders()
    _refuse_namesakes(trusted)
    return [CONF, *trusted, *([Path(extra_dir)] if extra_dir else [])]


@cache
def _refuse_namesakes(trusted: tuple[Path, ...]) -> None:
    """Raises where two packages, or a package and attnpred, have a file of one name: neither would be meant."""
    known: dict[Path, Path] = {}
    for folder in (CONF, *trusted) if trusted else ():
        for file in sorted(folder.rglob("*.yaml")):
            other = known.setdefault(file.relative_to(folder), file)
            if other != file:
                raise UserError(f"{file}: has the name of {other}; give it another")
