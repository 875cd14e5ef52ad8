"""A task's metrics on a few examples, each with the bounds within which it would lie for other examples."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from attnpred.contracts import Batch, ModelOutput
from attnpred.models.chain import Chain
from attnpred.tasks.base import Task

RESAMPLES, LEVEL = 100, 0.95
Answered = tuple[Batch, ModelOutput]


def metrics_with_intervals(task: Task, answered: Sequence[Answered]) -> dict[str, list[float]]:
    """Mean, low and high of each scalar, by bootstrap over examples."""
    whole = metrics_of(task, answered)
    random = np.random.default_rng(0)
    count = sum(len(batch) for batch, _ in answered)
    drawn = [metrics_of(task, _resampled(answered, random.integers(0, count, count))) for _ in range(RESAMPLES)]
    low, high = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    return {
        name: [value, *np.quantile([one[name] for one in drawn if name in one], (low, high)).tolist()]
        for name, value in whole.items()
    }


def metrics_of(task: Task, answered: Sequence[Answered]) -> dict[str, float]:
    """The task's scalars."""
    metrics = task.metrics()
    for batch, output in answered:
        task.update_metrics(metrics, output, batch)
    scalars, _ = task.results(metrics, learn=False)
    return {name: float(value) for name, value in scalars.items()}


def _resampled(answered: Sequence[Answered], chosen: np.ndarray) -> list[Answered]:
    """Of each batch the examples that were drawn, as often as they were."""
    found, start = [], 0
    for batch, output in answered:
        own = chosen[(chosen >= start) & (chosen < start + len(batch))] - start
        start += len(batch)
        if len(own):
            places = torch.from_numpy(own)
            found.append((batch.rows(places), _rows(output, places)))
    return found


def _rows(output: ModelOutput, places: Tensor) -> ModelOutput:
    """The answers to the examples at these places."""
    answered = None if output.answered is None else output.answered[places]
    chain = output.chain
    if chain is not None and answered is not None:
        chain = Chain(chain.numbers[places], chain.steps, answered)
    tokens = None if output.tokens is None else output.tokens[places]
    return ModelOutput(output.answer[places], None, answered, chain, tokens)
