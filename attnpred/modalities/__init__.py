"""Kinds of input: a folder each, whose module `reader` has a class `READER` with the specification `SPEC`."""

import importlib
from pathlib import Path
from typing import Any


def load_reader(directory: Path) -> Any:
    """The reader that was saved into a run directory, of whichever modality."""
    from attnpred.modalities.reader import damaged, read_specs

    inputs, _ = read_specs(directory)
    readers = {name: _loaded(directory, values) for name, values in inputs.items()}
    if len(readers) == 1:
        return next(iter(readers.values()))
    if len({one.modality for one in readers.values()}) < len(readers):
        raise damaged(directory, "two of its inputs are of one kind")
    from attnpred.modalities.several.reader import SeveralReader

    return SeveralReader(readers)


def _loaded(directory: Path, values: dict[str, Any]) -> Any:
    """One input's reader."""
    from attnpred.modalities.reader import damaged

    modality = values["spec"].get("modality")
    found = _module(modality)
    if found is None or not hasattr(found, "SPEC"):  # several inputs are described each by itself
        raise damaged(directory, f"its modality {modality!r} is not known")
    try:
        spec = found.SPEC.from_dict(values["spec"])
    except ValueError as error:
        raise damaged(directory, str(error)) from None
    try:
        return found.READER.load(directory, spec, values["reader"])
    except ValueError as error:
        raise damaged(directory, str(error)) from None


def corruptions(modality: str) -> Any:
    """By their names, what can be wrong with such an input; none where the modality tells of none."""
    found = _module(modality, "corruptions")
    return {} if found is None else found.CORRUPTIONS


def _module(modality: Any, part: str = "reader") -> Any:
    """A module of a modality; None where there is none."""
    if not isinstance(modality, str) or not modality.isidentifier():
        return None
    from attnpred.config import packages

    for place in (__name__, *(f"{package}.modalities" for package in packages.trusted())):
        name = f"{place}.{modality}.{part}"
        if packages.file_of(name) is not None:
            with packages.theirs():
                return importlib.import_module(name)
    return None


def load_target(directory: Path, kind: Any) -> Any:
    """The target's specification, of the class `kind`, that was saved into a run directory."""
    from attnpred.modalities.reader import damaged, read_specs

    _, values = read_specs(directory)
    try:
        return kind.from_dict(values)
    except ValueError as error:
        raise damaged(directory, str(error)) from None
