"""Tasks as the shipped configuration makes them."""

from typing import Any

from attnpred.config import compose, schema
from attnpred.contracts import TargetSpec
from attnpred.data.class_target import Classes
from attnpred.tasks.base import Task


def make_task(name: str, spec: TargetSpec, *overrides: str) -> Any:
    """The task that a file of conf/task describes, with some options changed."""
    data = [] if name == "classification" else ["data=texts", "model=transformer"]  # which any task fits
    config = compose.compose([f"task={name}", *data, *overrides]).task
    task: Task = schema.load(config._target_)(config, spec)
    return task


def classification(spec: Classes, *overrides: str) -> Any:
    return make_task("classification", spec, *overrides)
