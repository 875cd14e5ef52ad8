"""Which models, datasets and tasks go together, told by their options alone: nothing heavy is imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attnpred.errors import UserError, suggest


@dataclass(frozen=True)
class Misfit:
    """Why a model, a dataset and a task do not go together, and which files of a group would do instead."""

    group: str  # whose other files are proposed
    shown: tuple[str, ...]  # groups whose choices are named
    reason: str
    suits: Callable[[Any, Any], bool]  # (options class, targets of a dataset): whether it would do


def misfit(model: Any, data: Any, task: Any, targets: Any) -> Misfit | None:
    """None where they go together. `targets` are the kinds of target that the dataset lists, None where any will do."""
    if data.modality not in model.accepts:
        return Misfit(
            "model",
            ("model", "data"),
            f"this model reads {' and '.join(model.accepts)}, the dataset holds {data.modality}",
            lambda other, _: data.modality in other.accepts and task.shape in other.answers,
        )
    if not has_target(targets, task.reads):
        kinds = " and ".join(["class", *(kind for kind in targets if kind != "class")])
        return Misfit(
            "task",
            ("data", "task"),
            f"this task reads a target of kind {task.reads}, the dataset has {kinds}",
            lambda other, _: has_target(targets, other.reads) and other.shape in model.answers,
        )
    if task.shape not in model.answers:
        return Misfit(
            "model",
            ("model", "task"),
            f"this model gives answers of the shape {' and '.join(model.answers)}, the task needs {task.shape}",
            lambda other, _: data.modality in other.accepts and task.shape in other.answers,
        )
    return None


def has_target(targets: Any, reads: str) -> bool:
    """Whether a dataset that lists these kinds of target has what a task reads. label_column holds a class."""
    return targets is None or reads == "class" or (isinstance(targets, Mapping) and reads in targets)


def require_kinds(targets: Mapping[str, Any], known: set[str]) -> None:
    """Raises for a kind of target that no task reads; `known` are the kinds that some do."""
    for kind in targets:
        if kind not in known:
            several = sorted(known)
            raise UserError(
                f"data.targets.{kind}: no task reads targets of this kind; use {' or '.join(several)}"
                f"{suggest(kind, several)}"
            )
