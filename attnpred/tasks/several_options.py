"""What a run of several tasks at once is told: the tasks, their weights, and what is watched."""

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from attnpred.config import compose, schema
from attnpred.config.options import DataConfig, TaskConfig
from attnpred.config.schema import Invalid, option
from attnpred.data.several_target import SEPARATOR
from attnpred.errors import UserError

Weighting = Literal["fixed", "uncertainty", "gradient_norms"]
SUM = "weighted_sum"
NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = ("loss", SUM)
USUAL = {"class": "classification", "number": "regression", "labels": "multilabel"}  # kind of target → task


@dataclass(kw_only=True)
class MemberConfig:
    """One of several tasks."""

    task: TaskConfig
    column: str | list[str] | None = option(
        "Column of its target; null takes the dataset's own of the kind that the task reads.", default=None
    )
    weight: float = option("Weight of its loss in the objective.", ge=0, default=1.0)


@dataclass(kw_only=True)
class SeveralConfig(TaskConfig):
    """Options of several tasks at once."""

    reads: ClassVar[str] = "several"
    monitor: ClassVar[str] = SUM

    members: dict[str, MemberConfig] = option(
        "The tasks, by names of their own. Without any there is one for each kind of target that the dataset has: "
        "class, number, labels.",
        default={},
    )
    weighting: Weighting = option(
        "What the losses' weights are multiplied by: nothing (fixed), one over their uncertainty (uncertainty), or "
        "what makes their gradients equally long (gradient_norms).",
        default="fixed",
    )
    asymmetry: float = option(
        "Of gradient_norms, how much more a loss counts that has fallen less than others; 0 for no more.",
        ge=0,
        default=0.5,
    )
    monitored: dict[str, Any] = option(
        "Weights of the metrics whose sum is val/weighted_sum, by which a checkpoint is chosen, as in "
        "{kind/accuracy: 1}. Those of which less is better are taken away. Without any it is each task's "
        "own monitor, all alike.",
        default={},
    )

    def check(self) -> None:
        if len(self.members) == 1:
            raise Invalid("members", "holds one task; name two or more, or set that one as the task")
        for name, member in self.members.items():
            if not NAME.fullmatch(name) or name in RESERVED:
                raise Invalid("members", f"{name} cannot be a task's name; use small letters, digits and _")
            if member.task.shape != "whole" or member.task.reads == self.reads:
                raise Invalid("members", f"{name} is no task of one answer an input; leave it out")
            if member.task.loss_function is not None or member.task.further_metrics:
                raise Invalid("members", f"{name} has a loss or metrics of a package, which a task alone can have")
        if self.loss_function is not None:
            raise Invalid("loss_function", "several tasks have a loss each; set this to null")
        for name, weight in self.monitored.items():
            if self.members and name not in self.measured():
                raise Invalid("monitored", f"there is no {name}; use {', '.join(self.measured())}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
                raise Invalid("monitored", f"{name} has the weight {weight}; give a number of at least 0")

    def measured(self) -> dict[str, Literal["max", "min"]]:
        found: dict[str, Literal["max", "min"]] = {SUM: "max", "loss": "min"}
        for name, member in self.members.items():
            found |= {f"{name}{SEPARATOR}{metric}": best for metric, best in member.task.measured().items()}
        return found

    def kinds(self) -> list[str | None]:
        """Those for which the dataset says the columns; None where none is needed."""
        return [one.task.reads for one in self.members.values() if one.column is None] or [None]

    def target_columns(self, data: DataConfig) -> tuple[list[str], str]:
        return [c for one in self.members.values() for c in listed(one.column)], "task.members"

    def sum_of(self) -> dict[str, float]:
        """Metric → what it counts in the weighted sum, below 0 where less is better."""
        asked = self.monitored or {f"{n}{SEPARATOR}{one.task.monitor}": 1.0 for n, one in self.members.items()}
        known = self.measured()
        return {name: weight if known[name] == "max" else -weight for name, weight in asked.items()}

    def settled(self, data: DataConfig) -> "SeveralConfig":
        """With every task named, and its columns."""
        found = {}
        for name, one in (self.members or usual(data)).items():
            columns = listed(one.column) or (data.target_columns(one.task.reads) or ([], ""))[0]
            if not columns:
                raise UserError(
                    f"task.members.{name}.column: data={data.name} has no target of kind {one.task.reads}; name a "
                    "column"
                )
            found[name] = replace(one, column=columns)
        return replace(self, members=found)


def listed(column: str | list[str] | None) -> list[str]:
    return [column] if isinstance(column, str) else list(column or [])


def usual(data: DataConfig) -> dict[str, MemberConfig]:
    """A task for each kind of target that the dataset names columns of."""
    kinds = [kind for kind in USUAL if (data.target_columns(kind) or ([], ""))[0]]
    if len(kinds) < 2:
        raise UserError(
            f"task.members: data={data.name} has {' and '.join(kinds) or 'no'} targets alone, and none is named; name "
            "two tasks or more in a file, as conf/experiment/sick_both.yaml does"
        )
    return {
        kind: MemberConfig(task=schema.build(TaskConfig, compose.plain_of("task", USUAL[kind]), "task"))
        for kind in kinds
    }
