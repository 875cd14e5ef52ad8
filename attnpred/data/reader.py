"""What readers share: the file that describes them in a run directory."""

import json
from pathlib import Path
from typing import Any

from attnpred.contracts import InputSpec, spec_from_dict
from attnpred.errors import UserError

SPEC_FILE = "spec.json"


def save_spec(directory: Path, spec: InputSpec, **reader: Any) -> None:
    """Writes what a model knows of its input, and what only the reader needs beside it."""
    text = json.dumps({"spec": spec.as_dict(), "reader": reader}, indent=1, ensure_ascii=False)
    (directory / SPEC_FILE).write_text(text + "\n", encoding="utf-8")


def load_spec(directory: Path) -> tuple[InputSpec, dict[str, Any]]:
    values = _read(directory)
    return spec_from_dict(values["spec"]), values["reader"]


def saved_modality(directory: Path) -> str:
    return str(_read(directory)["spec"]["modality"])


def _read(directory: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads((directory / SPEC_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{directory}: has no {SPEC_FILE}; give the directory of a run that got as far as its data"
        ) from None
    return values
