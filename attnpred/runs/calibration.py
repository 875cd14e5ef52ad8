"""How sure a run's answers are, corrected afterwards: a temperature beside its weights (Guo et al. 2017)."""

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from attnpred.errors import UserError
from attnpred.files import read_json

FILE = "calibration.json"
M = TypeVar("M")


def temperature(directory: Path) -> float:
    """What a run's answers are divided by; 1 where nobody calibrated it."""
    file = directory / FILE
    if not file.is_file():
        return 1.0
    told = read_json(file)
    value = told.get("temperature") if isinstance(told, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or value <= 0:
        raise UserError(f"{file}: holds no temperature above 0; restore the file, or remove it")
    return float(value)


def cooled(model: M, directory: Path) -> M:
    """The model, whose every answer is divided by the run's temperature."""
    heat = temperature(directory)
    if heat != 1:
        held: Any = model
        held.register_forward_hook(lambda module, given, output: replace(output, answer=output.answer / heat))
    return model
