"""Tasks as the shipped configuration makes them."""

from itertools import product
from typing import Any

from attnpred.config import compose, schema
from attnpred.contracts import TargetSpec
from attnpred.data.class_target import Classes
from attnpred.tasks.base import Task


def make_task(name: str, spec: TargetSpec, *overrides: str) -> Any:
    """The task that a file of conf/task describes, with some options changed."""
    config = compose.compose([f"task={name}", *fits_any(name), *overrides]).task
    task: Task = schema.load(config._target_)(config, spec)
    return task


def fits_any(name: str) -> list[str]:
    """A model and a dataset that the task fits: files of one's own may hold anything, by their columns."""
    pairs = product(("transformer", "seq2seq"), ("texts", "tags", "series", "translation"))
    model, data = next(pair for pair in pairs if compose.fitting(*pair, name))
    return [f"model={model}", f"data={data}", *(["task.horizon=3"] if name == "forecasting" else [])]


def classification(spec: Classes, *overrides: str) -> Any:
    return make_task("classification", spec, *overrides)
