"""Training examples in which a model looked at like things: the nearest by what its attention takes of the input."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Attention, Batch
from attnpred.errors import UserError
from attnpred.explain.base import entrances, look
from attnpred.models.base import Model
from attnpred.tasks.base import Task

SEARCHED = 2_000  # training examples, drawn once for all


class Prototypes:
    """A sample of the train part, ready to be searched."""

    def __init__(self, model: Model, task: Task, reader: Any, batches: Iterable[Batch], device: str) -> None:
        self.model, self.task = model, task
        vectors: list[Tensor] = []
        self.examples: list[Any] = []
        for batch in batches:
            batch = batch.to(device)
            output, attention = _looked(model, batch)
            vectors.append(self._vectors(batch, attention))
            self.examples += _told(task, reader, batch, output, attention)
        self.vectors = torch.cat(vectors)

    def nearest(self, batch: Batch, many: int) -> list[list[dict[str, Any]]]:
        """Of each example those of the train part that are most like it, the likest first; never itself."""
        _, attention = _looked(self.model, batch)
        likeness = self._vectors(batch, attention) @ self.vectors.T  # (batch, searched)
        values, places = likeness.topk(min(many, len(self.examples)), dim=1)
        return [
            [{**self.examples[place], "likeness": value} for value, place in zip(row, which, strict=True)]
            for row, which in zip(values.tolist(), places.tolist(), strict=True)
        ]

    def _vectors(self, batch: Batch, attention: Attention) -> Tensor:
        """What attention takes of what enters the model, and of an image also where it looks: (batch, features)."""
        if len(batch.inputs) != 1:
            raise UserError("--prototypes: looks at one input an example, and this run reads several; leave it out")
        (features,), (grid,) = entrances(self.model, batch), attention.grids
        if grid is None:
            return F.normalize((attention.importance[..., None] * features).sum(1), dim=1)
        regions = F.adaptive_avg_pool2d(features, grid).flatten(2).transpose(1, 2)  # (batch, parts, channels)
        taken = F.normalize((attention.importance[..., None] * regions).sum(1), dim=1)
        return torch.cat((taken, F.normalize(attention.importance, dim=1)), dim=1) / 2**0.5


@torch.no_grad()
def _looked(model: Model, batch: Batch) -> tuple[Any, Attention]:
    return look(model, batch, layers=False)


def _told(task: Task, reader: Any, batch: Batch, output: Any, attention: Attention) -> Sequence[dict[str, Any]]:
    read = reader.of(batch)
    describe = reader.describe(read)
    shown, maps = reader.shown(read, attention, describe), reader.maps(read, attention.importance, attention, describe)
    summaries = task.summaries(output, task.choose(output), batch)
    return [
        {"id": int(number), "label": summary.true, "predicted": summary.predicted, **one, "map": values}
        for number, summary, one, values in zip(batch.ids.tolist(), summaries, shown, maps, strict=True)
    ]
