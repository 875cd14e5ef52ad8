"""Size, speed, accuracy and faithfulness of a quantised export beside float32, measured on validation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from attnpred.contracts import Batch
from attnpred.explain.study import Study
from attnpred.inference.export.described import Described
from attnpred.inference.export.file_model import FileModel
from attnpred.inference.export.quantised import FLOAT32, speeds
from attnpred.inference.export.session import asking, open_file
from attnpred.tasks.base import Task

EXPLAINED = 100  # examples on which faithfulness is measured
TIMED = 64  # examples


def measure(
    model: FileModel, about: Described, task: Task, batches: Sequence[Batch], directory: Path
) -> dict[str, Any]:
    """What quantisation takes and gives; the float32 file beside it goes with that."""
    before = directory / FLOAT32
    now = directory / about.file
    ask = asking(open_file(before), about.outputs)
    float32 = FileModel(model.config, model.spec, ask, replace(about, precision="float32")).eval()
    timed = [with_answer(task, batch) for batch in _first(batches, TIMED)]
    slow, fast = speeds(before, now, timed, about)
    found = {
        "examples": sum(map(len, batches)),
        "bytes": {"float32": before.stat().st_size, "now": now.stat().st_size},
        "examples_per_second": {"float32": slow, "now": fast},
        "speedup": fast / slow,
        "metrics": {
            "float32": metrics_of(float32, task, batches),
            "now": metrics_of(model, task, batches),
        },
        "faithfulness": {
            "float32": faithfulness_of(float32, task, _first(batches, EXPLAINED)),
            "now": faithfulness_of(model, task, _first(batches, EXPLAINED)),
        },
    }
    before.unlink()
    return found


def with_answer(task: Any, batch: Batch) -> Batch:
    """The batch as the file takes it: with the tokens of an answer that is a sequence."""
    wanted: Batch = batch if task.answer.generation is None else task.seen_once(batch)
    return wanted


def metrics_of(model: FileModel, task: Task, batches: Sequence[Batch]) -> dict[str, float]:
    """The task's scalars; sequences are answered as while training, for every token reads all before it again."""
    metrics = task.metrics()
    for batch in batches:
        task.measure(metrics, model, batch, mirror=False, final=task.answer.generation is None)
    scalars, _ = task.results(metrics, learn=False)
    return {name: float(value) for name, value in scalars.items()}


def faithfulness_of(model: Any, task: Task, batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Of the model's own attention each score's mean with the bounds of its interval."""
    study = Study(model, task, ["attention"])
    for batch in batches:
        study.measure(study.explain(batch))
    found: dict[str, list[float]] = study.result()["scores"]["attention"]
    return found


def _first(batches: Sequence[Batch], count: int) -> list[Batch]:
    """The first batches with so many examples together."""
    found: list[Batch] = []
    for batch in batches:
        left = count - sum(map(len, found))
        if left > 0:
            found.append(batch.rows(torch.arange(min(left, len(batch)))))
    return found
