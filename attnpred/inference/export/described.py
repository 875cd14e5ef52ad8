"""What an exported folder says of its own file, so that the file can be fed and its answers read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from attnpred.contracts import Grid
from attnpred.errors import UserError
from attnpred.files import read_json, write_json

FILE = "export.json"
ONNX, TORCH = "model.onnx", "model.pt2"
WEIGHTS = "model.onnx.data"  # beside an ONNX file that is too large to hold its own
FILES = {"onnx": ONNX, "torch": TORCH}
MOST_INPUTS, MOST_GRID = 64, 65_536


@dataclass(frozen=True)
class Described:
    """Names, number formats and axes of the tensors, and what else their meaning depends on."""

    format: str  # onnx or torch
    precision: str  # float32, float16, int8-dynamic or int8-static
    inputs: Mapping[str, Mapping[str, Any]]  # of each tensor its `type` and its `axes`, by name or size
    outputs: tuple[str, ...]
    grids: tuple[Grid, ...]  # of each of the batch's inputs the grid of its parts
    task: Mapping[str, Any] = field(default_factory=dict)  # what the task learned of validation
    attnpred: str = ""  # the version that wrote it

    @property
    def file(self) -> str:
        return FILES[self.format]

    def write(self, directory: Path) -> None:
        write_json(directory / FILE, asdict(self))


def read(directory: Path) -> Described:
    """The description in an exported folder, which may come from a stranger."""
    file = directory / FILE
    if not file.is_file():
        raise UserError(f"{directory}: no exported folder (it holds no {FILE}); give one as attnpred export makes it")
    values = read_json(file)
    try:
        found = Described(
            **{**values, "outputs": tuple(values["outputs"]), "grids": tuple(map(_grid, values["grids"]))}
        )
        fits = _fits(found)
    except (TypeError, KeyError, ValueError):
        fits = False
    if not fits:
        raise UserError(f"{file}: does not describe an export; restore the file, or export the run again")
    return found


def _grid(value: Any) -> Grid:
    if value is None:
        return None
    rows, columns = value
    if not all(type(one) is int and 0 < one <= MOST_GRID for one in (rows, columns)):
        raise ValueError("no grid")
    return rows, columns


def _fits(found: Described) -> bool:
    inputs = found.inputs
    return (
        found.format in FILES
        and isinstance(found.precision, str)
        and isinstance(inputs, dict)
        and 0 < len(inputs) <= MOST_INPUTS
        and all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in inputs.values())
        and found.outputs[:2] == ("answer", "importance")
        and all(isinstance(one, str) for one in found.outputs)
        and isinstance(found.task, dict)
    )
