"""What readers share: what they make of new input, and the file that describes them in a run directory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from attnpred.contracts import Attention, Batch, InputSpec, spec_from_dict
from attnpred.errors import UserError

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
