"""The origin of a run as run.json keeps it, and the form that run.json must have."""

import hashlib
import os
import platform
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from attnpred.config import schema
from attnpred.errors import UserError
from attnpred.machine import processes
from attnpred.runs.forms import Form, misfit, one_of, text
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
TURNS = ("rewind", "halve")  # that a run took to help itself
# of what is read again; all else is only kept
FORM: Form = {
    "status": text,
    "overrides": [text],
    "turns?": [{"turn": one_of(*TURNS)}],
    "resumed?": [text],
    "pruned?": text,
    "error?": text,
}


def described_by(content: Any, file: Path) -> dict[str, Any]:
    """The content of run.json, if it has the right form."""
    if (place := misfit(content, FORM)) is not None:
        raise UserError(f"{file}: does not describe a run ({place or 'all'} is missing or mistyped); restore the file")
    found: dict[str, Any] = content
    return found


def now_text() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def digest(config: str) -> str:
    """Stands for a config as it was launched; a run may take another since."""
    return hashlib.blake2b(config.encode(), digest_size=16).hexdigest()


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
    told = processes.answer(command)
    return None if told is None else told.strip()
