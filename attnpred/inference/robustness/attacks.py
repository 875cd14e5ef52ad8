"""Inputs changed on purpose, as little as may be, so that a model answers wrong: FGSM, PGD, and other words.

Strength comes in five severities, as of corruptions. An attack knows the model and the true answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.explain.base import untrained
from attnpred.modalities.image.batch import ImageInput
from attnpred.modalities.text.batch import TextInput
from attnpred.models.base import Model
from attnpred.tasks.base import Task

PIXELS = (1.0, 2.0, 4.0, 8.0, 16.0)  # that a colour may change by, of 255
DEVIATIONS = (0.02, 0.05, 0.1, 0.2, 0.4)  # that a value of a series may change by
WORDS = (0.02, 0.05, 0.1, 0.2, 0.3)  # share of a text's tokens that may be replaced
PGD_STEPS, PGD_STEP = 10, 0.25  # how often, and by what share of the bound
NEIGHBOURS = 8  # tokens that one may be replaced by: the nearest of the model's own table
MOST_TOKENS = 30  # of a text, however long


@dataclass(frozen=True)
class Victim:
    model: Model
    task: Task
    reader: Any


def fgsm(victim: Victim, batch: Batch, severity: int, random: Generator) -> Batch:
    """One step up the loss, of the same size for every value (Goodfellow et al. 2015)."""
    values, bound = _values(batch, severity)
    return _with(batch, values, values + bound * _slope(victim, batch, values).sign())


def pgd(victim: Victim, batch: Batch, severity: int, random: Generator) -> Batch:
    """Many small steps from a random start, each brought back to within the bound (Madry et al. 2018)."""
    values, bound = _values(batch, severity)
    drawn = torch.rand(values.shape, generator=random).to(values.device)
    moved = values + bound * (2 * drawn - 1)
    for _ in range(PGD_STEPS):
        here = _with(batch, values, moved)
        step = PGD_STEP * bound * _slope(victim, here, _values(here, severity)[0]).sign()
        moved = torch.minimum(torch.maximum(moved + step, values - bound), values + bound)
    return _with(batch, values, moved)


def _values(batch: Batch, severity: int) -> tuple[Tensor, float]:
    """The numbers of an input, as float, and how much each may change."""
    found = batch.input
    if isinstance(found, ImageInput):
        return found.pixels.float(), PIXELS[severity - 1]
    if hasattr(found, "values"):
        return found.values, DEVIATIONS[severity - 1]
    raise UserError("--under fgsm, pgd: are for images and series, which are numbers; of texts use words")


def _with(batch: Batch, before: Tensor, values: Tensor) -> Batch:
    found = batch.input
    if isinstance(found, ImageInput):
        return batch.reading(replace(found, pixels=values.clamp(0, 255)))
    return batch.reading(replace(found, values=values))


def _slope(victim: Victim, batch: Batch, values: Tensor) -> Tensor:
    """The gradient of the loss of the true answers by an input's numbers."""
    wanted = values.detach().requires_grad_()
    with untrained(victim.model):
        changed = _leaf(batch, wanted)
        loss = victim.task.loss(victim.model(changed), changed)
        [slope] = torch.autograd.grad(loss, wanted)
    return slope


def _leaf(batch: Batch, values: Tensor) -> Batch:
    found = batch.input
    named = {"pixels": values} if isinstance(found, ImageInput) else {"values": values}
    return batch.reading(replace(found, **named))


def words(victim: Victim, batch: Batch, severity: int, random: Generator) -> Batch:
    """Tokens replaced by near ones of the model's own table, the most telling first, each by that which hurts most.

    How telling a token is, the gradient of the loss by its vector says. What is near for the model need not mean the
    same for people.
    """
    texts = batch.input
    if not isinstance(texts, TextInput):
        raise UserError("--under words: is for texts; of images and series use fgsm or pgd")
    table = _table(victim)
    own = texts.own()
    known = torch.tensor(sorted(victim.reader.spec.spelled), device=table.device)
    telling = _telling(victim, batch)
    telling = telling if own is None else telling.masked_fill(~own, -1.0)  # (batch, length)
    counts = (telling >= 0).sum(1)
    most = int((WORDS[severity - 1] * counts.float()).ceil().clamp(max=MOST_TOKENS).max())
    order = telling.argsort(1, descending=True)
    rows = torch.arange(len(batch), device=table.device)
    tokens = texts.tokens.clone()
    hurt = _losses(victim, batch)  # (batch,)
    for turn in range(most):
        place = order[:, turn]
        allowed = turn < (WORDS[severity - 1] * counts.float()).ceil()  # (batch,) bool
        near = _near(table, tokens[rows, place], known)  # (batch, neighbours)
        for candidate in near.unbind(1):
            tried = tokens.clone()
            tried[rows, place] = candidate
            found = _losses(victim, batch.reading(replace(texts, tokens=tried, evidence=None)))
            better = allowed & (found > hurt)
            tokens = torch.where(better[:, None], tried, tokens)
            hurt = torch.where(better, found, hurt)
    return batch.reading(replace(texts, tokens=tokens, evidence=None))


def _table(victim: Victim) -> Tensor:
    """The vectors of the model's tokens, (vocabulary, width)."""
    size = victim.reader.spec.vocab_size
    entrance = victim.model.entrance()
    tables = [m for m in (entrance, *entrance.modules()) if isinstance(m, nn.Embedding) and m.num_embeddings == size]
    tables += [m for m in entrance.modules() if isinstance(m, nn.Embedding) and m.num_embeddings > size]
    if not tables:
        raise UserError("--under words: this model has no table of tokens; use typos, noise or occlusion")
    return tables[0].weight.detach()


def _near(table: Tensor, tokens: Tensor, known: Tensor) -> Tensor:
    """(batch,) -> (batch, neighbours): the nearest other tokens that spell something, by the angle between vectors."""
    own = nn.functional.normalize(table[tokens].float(), dim=-1)  # (batch, width)
    others = nn.functional.normalize(table[known].float(), dim=-1)
    closeness = (own @ others.T).masked_fill(known == tokens[:, None], -2.0)  # (batch, known)
    return known[closeness.topk(min(NEIGHBOURS, len(known) - 1), dim=1).indices]


def _telling(victim: Victim, batch: Batch) -> Tensor:
    """(batch, length): the length of the gradient of the loss by each token's vector."""
    made: list[Tensor] = []

    def keep(module: nn.Module, given: Any, found: Tensor) -> Tensor:
        leaf = found.detach().requires_grad_()
        made.append(leaf)
        return leaf

    handle = victim.model.entrance().register_forward_hook(keep)
    try:
        with untrained(victim.model):
            loss = victim.task.loss(victim.model(batch), batch)
            [slope] = torch.autograd.grad(loss, made[0])
    finally:
        handle.remove()
    return slope.float().norm(dim=-1)


@torch.no_grad()
def _losses(victim: Victim, batch: Batch) -> Tensor:
    """The loss of the true answer, example by example: (batch,)"""
    output = victim.model(batch)
    rows = torch.arange(len(batch), device=batch.ids.device)
    each = [
        victim.task.loss(_row(output, row), batch.rows(row)) for row in rows[:, None]
    ]  # without the model, which was asked once
    return torch.stack(each)


def _row(output: Any, row: Tensor) -> Any:
    answered = None if output.answered is None else output.answered[row]
    return replace(output, answer=output.answer[row], answered=answered, attention=None)


ATTACKS: Mapping[str, Callable[[Victim, Batch, int, Generator], Batch]] = {"fgsm": fgsm, "pgd": pgd, "words": words}
