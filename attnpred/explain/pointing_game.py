"""The pointing game (Zhang et al. 2018; Böhle et al. 2021): an example among those of other classes.

Nobody marks anything: whatever speaks for an example's class must be in that example. Images are put together in a
grid, each at half its side, and texts one behind the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, evidence_parts, look
from attnpred.models.base import Model
from attnpred.statistics import Interval, interval
from attnpred.tasks.base import Task


def game(
    model: Model, task: Task, explainers: Mapping[str, Explainer], batches: Iterable[Batch]
) -> dict[str, Interval]:
    """Of each explainer how much of what it says for a class lies in the example of that class, from 0 to 1.

    Nothing where inputs cannot be put together, or where answers are no classes.
    """
    shares: defaultdict[str, list[Tensor]] = defaultdict(list)
    for batch in batches:
        made = among_others(model, task, batch)
        if made is None:
            continue
        mixed, choice = made
        with torch.no_grad():
            _, attention = look(model, mixed, layers=False)
        evidence = evidence_parts(mixed, attention.grids)
        assert evidence is not None
        for name, explainer in explainers.items():
            helpful = explainer(mixed, choice).clamp(min=0)  # (batch, parts)
            shares[name].append((helpful * evidence).sum(1) / helpful.sum(1).clamp(min=1e-12))
    return {name: interval(torch.cat(found).double().cpu().numpy()) for name, found in shares.items()}


def among_others(model: Model, task: Task, batch: Batch) -> tuple[Batch, Tensor] | None:
    """Those examples that are answered right, each among others of other classes, and the class of each."""
    if len(batch.inputs) != 1 or not task.names() or task.config.shape != "whole" or "label" not in batch.targets:
        return None
    with torch.no_grad():
        choice = task.choose(model(batch))
    labels = batch.targets["label"]
    if labels.ndim != 1:
        return None
    right = (choice == labels).nonzero()[:, 0].tolist()
    [one] = batch.inputs.values()
    rows: list[int] = []
    others: list[list[int]] = []
    for row in right:
        rest = [other for other in _after(right, row) if labels[other] != labels[row]]
        if len(rest) >= one.company:
            rows.append(row)
            others.append(rest[: one.company])
    if not one.company or not rows:
        return None
    places = torch.tensor(rows, device=labels.device)
    company = [one.rows(torch.tensor(column, device=labels.device)) for column in zip(*others, strict=True)]
    mixed = one.rows(places).among(company, batch.ids[places], next(iter(model.spec.inputs.values())))
    return batch.rows(places).reading(mixed), choice[places]


def _after(rows: Sequence[int], row: int) -> list[int]:
    """The rows behind that one, and then those before it."""
    at = rows.index(row)
    return [*rows[at + 1 :], *rows[:at]]
