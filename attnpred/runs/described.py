"""What a run's run.json says: of where the run came from, and the form that it must have."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from attnpred.config import schema
from attnpred.errors import UserError
from attnpred.version import __version__

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchvision",
    "torchmetrics",
    "datasets",
    "tokenizers",
    "transformers",
    "numpy",
)
TURNS = ("rewind", "halve")


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _turns(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and one.get("turn") in TURNS for one in value)


NEEDED = ("status", "overrides")
# of what is read again; all else is only kept
FORMS: dict[str, Callable[[Any], bool]] = {
    "status": _is(str),
    "overrides": _texts,
    "turns": _turns,
    "resumed": _texts,
    "pruned": _is(str),
    "error": _is(str),
}


def described_by(content: Any, file: Path) -> dict[str, Any]:
    """What was read from run.json, if it has the form of it."""
    if not isinstance(content, dict) or not all(name in content for name in NEEDED):
        raise UserError(f"{file}: does not describe a run; restore the file")
    for name, fits in FORMS.items():
        if name in content and not fits(content[name]):
            raise UserError(f"{file}: does not describe a run ({name} has another form); restore the file")
    return content


def now_text() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def digest(text: str) -> str:
    """Stands for a config as it was launched; a run may take another since."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def origin() -> dict[str, Any]:
    """Where a run came from: host, code and the versions it stands on."""
    return {
        "host": platform.node(),
        "command": sys.argv,
        "python": platform.python_version(),
        "attnpred": __version__,
        "code": _code_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "cpus": os.cpu_count(),
    }


def _code_version() -> str | None:
    """The commit the code stands at, marked where files differ from it; None for an installed package."""
    if not (schema.PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "-C", str(schema.PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
