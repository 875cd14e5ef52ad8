"""Which models, datasets and tasks go together, told by their options alone: nothing heavy is imported."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from attnpred.config.data_options import ITSELF
from attnpred.errors import UserError, suggest

Kinds = Collection[str] | None
SEVERAL = "several"  # what a task of several reads: each of its members a kind of its own
SHARED = {"class", "number", "labels"}  # which such members can read


@dataclass(frozen=True)
class Misfit:
    """Why a model, a dataset and a task do not go together, and which files of a group would do instead."""

    group: str  # whose other files are proposed
    shown: tuple[str, ...]  # groups whose choices are named
    reason: str
    suits: Callable[[Any], bool]  # whether one of such an options class would do


def misfit(model: Any, data: Any, task: Any, kinds: Kinds) -> Misfit | None:
    """None where they go together. `kinds` are those of the dataset's targets, None where any will do."""
    if data.modality not in model.accepts:
        return Misfit(
            "model",
            ("model", "data"),
            f"this model reads {' and '.join(model.accepts)}, the dataset holds {data.modality}",
            lambda other: data.modality in other.accepts and task.shape in other.answers,
        )

    def other_task(reason: str) -> Misfit:
        return Misfit(
            "task",
            ("data", "task"),
            reason,
            lambda other: (
                asks(other, data)
                and has_target(kinds, other.reads)
                and other.shape in model.answers
                and other.reads not in (SEVERAL, ITSELF)
            ),
        )

    if not asks(task, data):
        return other_task(f"this task asks about {' and '.join(task.inputs)}, the dataset holds {data.modality}")
    if not has_target(kinds, task.reads):
        return other_task(f"this task reads a target of kind {task.reads}, the dataset has {' and '.join(kinds or ())}")
    if task.shape not in model.answers:
        return Misfit(
            "model",
            ("model", "task"),
            f"this model gives answers of the shape {' and '.join(model.answers)}, the task needs {task.shape}",
            lambda other: data.modality in other.accepts and task.shape in other.answers,
        )
    return None


def asks(task: Any, data: Any) -> bool:
    """True where the dataset holds the target that a task reads."""
    return not task.inputs or data.modality in task.inputs


def has_target(kinds: Kinds, reads: str) -> bool:
    """True where a dataset with these kinds of target has the one that a task reads."""
    return kinds is None or reads in (ITSELF, *kinds) or (reads == SEVERAL and bool(SHARED.intersection(kinds)))


def kinds_of(data: Any, targets: Any, label_column: Any) -> Kinds:
    """The kinds of target that a dataset has: those that it lists, and a class in the column that it names or finds."""
    if targets is None:
        return None
    return list(dict.fromkeys([*(["class"] if data.finds_class or label_column is not None else []), *targets]))


def require_kinds(targets: Mapping[str, Any], known: set[str]) -> None:
    """Raises for a kind of target that no task reads; `known` are the kinds that some do."""
    for kind in targets:
        if kind not in known:
            several = sorted(known)
            raise UserError(
                f"data.targets.{kind}: no task reads targets of this kind; use {' or '.join(several)}"
                f"{suggest(kind, several)}"
            )
