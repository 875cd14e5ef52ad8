"""Where config files lie: those shipped, those of packages that the user named, and a directory for one command."""

from functools import cache
from pathlib import Path

from attnpred.config import packages, schema
from attnpred.errors import UserError
from attnpred.files import path_of

# In an installed package the files lie inside it, in a checkout beside it.
CONF = next(p for p in (schema.PACKAGE / "conf", schema.PACKAGE.parent / "conf") if p.is_dir())


def group_options(group: str, extra_dir: str | None = None) -> list[str]:
    """The names that may be chosen in a group; empty where there is no such group."""
    if not group.replace("/", "").replace("_", "").isalnum():
        return []
    return sorted({file.stem for folder in folders(extra_dir) for file in (folder / group).glob("*.yaml")})


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
