"""What readers share: what they make of new input, and the file that describes them in a run directory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from attnpred.contracts import Attention, Batch, InputSpec, spec_from_dict
from attnpred.errors import UserError
from attnpred.machine.files import read_json

B = TypeVar("B", bound=Batch)
SPEC_FILE = "spec.json"


@dataclass(frozen=True)
class Reading(Generic[B]):
    """A batch of new input; its ids are the inputs' places in the order given, which need not be its own."""

    inputs: list[str]
    batch: B
    explain: Callable[[Attention], Iterator[dict[str, Any]]]  # the parts of each input, and the attention on each


def save_spec(directory: Path, spec: InputSpec, **reader: Any) -> None:
    """Writes what a model knows of its input, and what only the reader needs beside it."""
    text = json.dumps({"spec": spec.as_dict(), "reader": reader}, indent=1, ensure_ascii=False)
    (directory / SPEC_FILE).write_text(text + "\n", encoding="utf-8")


def load_spec(directory: Path) -> tuple[InputSpec, dict[str, Any]]:
    values = _read(directory)
    try:
        return spec_from_dict(values["spec"]), values["reader"]
    except ValueError as error:
        raise damaged(directory, str(error)) from None


def damaged(directory: Path, reason: str) -> UserError:
    return UserError(f"{directory / SPEC_FILE}: describes no input of a model ({reason}); restore the file")


def saved_modality(directory: Path) -> str:
    return str(_read(directory)["spec"].get("modality"))


def _read(directory: Path) -> dict[str, Any]:
    if not (directory / SPEC_FILE).is_file():
        raise UserError(f"{directory}: has no {SPEC_FILE}; give the directory of a run that got as far as its data")
    values = read_json(directory / SPEC_FILE)
    if not isinstance(values, dict) or not all(isinstance(values.get(key), dict) for key in ("spec", "reader")):
        raise damaged(directory, "spec or reader is missing")
    return values
