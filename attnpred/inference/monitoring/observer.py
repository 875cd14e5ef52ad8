"""Watches a model at work: statistics of its inputs, its answers, where it looks, and what it makes of them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnpred.contracts import Attention, Batch, ModelOutput
from attnpred.explain.base import own_parts
from attnpred.inference.monitoring.rows import CONFIDENCE, LABEL, WRONG, Rows
from attnpred.inference.predict import Predictor
from attnpred.models.base import Model


class Observer:
    """Hangs itself into a predictor's model, to see what its last layers are given."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._seen: Tensor | None = None
        head = head_of(predictor.model)
        if head is not None:
            head.register_forward_pre_hook(self._note)

    def _note(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], Tensor):
            self._seen = given[0].detach()

    def rows(self, batch: Batch) -> Rows:
        """Of a batch that is now given to the model."""
        return self.of(*self.predictor.asked(batch, True))

    def of(self, batch: Batch, output: ModelOutput) -> Rows:
        """Of a batch that was given to the model last."""
        seen, self._seen = self._seen, None
        numbers = {**self._inputs(batch), **looked(output.attention, batch)}
        labels: dict[str, list[str]] = {}
        task = self.predictor.task
        if task.config.shape == "whole":
            described = task.describe(output)
            said = [task.headline(one) for one in described]
            if all(sure is not None for _, sure in said):
                numbers[CONFIDENCE] = np.array([sure for _, sure in said], np.float64)
            if {text for text, _ in said} <= set(task.names()):
                labels[LABEL] = [text for text, _ in said]
            if batch.targets:
                wrong = [task.wrong(one, batch, row) for row, one in enumerate(described)]
                numbers[WRONG] = np.array(wrong, np.float64)
        if LABEL not in labels and output.answer.ndim >= 2:
            numbers["answer: mean"] = _plain(output.answer.float().flatten(1).mean(1))
        return Rows(numbers, labels, _pooled(seen, batch))

    def _inputs(self, batch: Batch) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for name, one in batch.inputs.items():
            reader = getattr(self.predictor.reader, "readers", {}).get(name, self.predictor.reader)
            place = "input" if len(batch.inputs) == 1 else f"input {name}"
            found |= {f"{place}: {key}": _plain(value) for key, value in one.statistics(reader).items()}
        return found


def head_of(model: Model) -> nn.Module | None:
    """The last layer with weights, which is given what the model makes of an input; None where there is none."""
    last = model.levels()[-1]
    beside = {id(one) for one in model.beside()}
    linear = [
        inner
        for module in last
        if id(module) not in beside and module is not model
        for inner in module.modules()
        if isinstance(inner, nn.Linear)
    ]
    return linear[-1] if linear else None


def _pooled(seen: Tensor | None, batch: Batch) -> np.ndarray | None:
    """(batch, width) of what the last layer was given: (batch, width), or (batch, parts, width), which is averaged."""
    if seen is None or seen.ndim not in (2, 3) or len(seen) != len(batch):
        return None
    if seen.ndim == 3:
        own = own_parts(batch) if len(batch.inputs) == 1 else None
        if own is not None and own.shape[1] == seen.shape[1]:
            seen = (seen * own[:, :, None]).sum(1) / own.sum(1, keepdim=True).clamp(min=1)
        else:
            seen = seen.mean(1)
    return seen.float().cpu().numpy()


@torch.no_grad()
def looked(attention: Attention | None, batch: Batch) -> dict[str, np.ndarray]:
    """Where a model looks: how much at one place, and at which; of several inputs also how much at each."""
    if attention is None or attention.signed:
        return {}
    shares = attention.importance.float()  # (batch, parts)
    own = own_parts(batch, attention.grids)
    count = torch.full((len(shares),), shares.shape[1]) if own is None else own.sum(1)
    count = count.to(shares).clamp(min=1)
    entropy = torch.special.entr(shares).sum(1)
    found = {
        # 0: alike at all parts, 1: at one alone
        "attention: concentration": 1 - entropy / count.log().clamp(min=1e-6),
        "attention: largest share": shares.amax(1),
    }
    found["attention: concentration"] = found["attention: concentration"].where(count > 1, 1.0)
    start = 0
    for (name, one), grid in zip(batch.inputs.items(), attention.grids, strict=True):
        width = one.parts(grid)
        inside = shares[:, start : start + width]
        start += width
        total = inside.sum(1).clamp(min=1e-9)
        suffix = ""
        if len(batch.inputs) > 1:
            found[f"attention: at {name}"], suffix = inside.sum(1), f" in {name}"
        if grid is None:
            mask = one.own()
            rank = torch.arange(width, device=shares.device).expand_as(inside) if mask is None else mask.cumsum(1) - 1
            last = rank.amax(1).clamp(min=1)
            found[f"attention: place{suffix}"] = (inside * rank.clamp(min=0)).sum(1) / total / last
            continue
        cells = inside.unflatten(1, grid)
        for axis, side in ((1, "row"), (2, "column")):
            along = torch.linspace(0, 1, grid[axis - 1], device=shares.device)
            found[f"attention: {side}{suffix}"] = (cells.sum(3 - axis) * along).sum(1) / total
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Tensor) -> np.ndarray:
    return value.double().cpu().numpy()
