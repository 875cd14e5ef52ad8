"""What is added to the objective to make a model's attention sharper, or truer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import AttentionLoss, AttentionTarget
from attnpred.contracts import Attention, Batch
from attnpred.explain import fastshap
from attnpred.explain.base import evidence_parts, look, own_parts
from attnpred.explain.by_example import drawing
from attnpred.explain.removal import Removing
from attnpred.models.base import Model
from attnpred.models.predicted import standardised
from attnpred.tasks.base import Task

SAMPLE = 4  # one in so many examples of a batch tells by what its label was decided
ASKED = 8  # parts of such an example, at most, that are left out one by one: two more forward passes a step in all
PAIRS = 4  # sets of parts, and as many rests, that are tried out where sums are learned
LEAST = 1e-6  # a share or a chance below which a logarithm is cut


def attention_loss(kind: AttentionLoss, model: Model, task: Task, batch: Batch, attention: Attention | None) -> Tensor:
    """A scalar, averaged over the examples that it speaks of; `faithful` looks by itself and needs no attention.

    `entropy`: how spread the importance is, 1 where all parts have the same. `supervised`: the logarithm of what falls
    beside the recorded evidence. `faithful`: how far the shares' logarithms are from what leaving parts out shows.
    """
    if kind == "faithful":
        some = batch.rows(torch.arange(0, len(batch), SAMPLE, device=batch.ids.device))
        target = model.config.attention_target
        return _unshapley(model, task, some) if target == "shapley" else _unfaithful(model, task, some, target)
    assert attention is not None
    share = attention.importance  # (batch, parts)
    if kind == "entropy":
        own = own_parts(batch, attention.grids)
        count = torch.full_like(share[:, 0], share.shape[1]) if own is None else own.sum(1).float()
        return (_entropy(share) / count.clamp(min=2).log()).mean()
    evidence = evidence_parts(batch, attention.grids)
    if evidence is None:  # lost where images were mixed
        return share.sum() * 0.0
    recorded = evidence.any(1)
    found = (share * evidence).sum(1).clamp(min=LEAST).log()
    return -(found * recorded).sum() / recorded.sum().clamp(min=1)


def _unshapley(model: Model, task: Task, batch: Batch) -> Tensor:
    """How far the numbers are from adding up, of any set of parts, to the odds that these alone leave."""
    predicted, training = model.predicted, model.training
    assert predicted is not None
    model.eval()
    predicted.raw = True
    try:
        with drawing(int(batch.ids.sum())):  # and the generators stay as without it
            return fastshap.loss(model, Removing(model, task), batch, PAIRS, odds=True)
    finally:
        predicted.raw = False
        model.train(training)


def _unfaithful(model: Model, task: Task, batch: Batch, target: AttentionTarget) -> Tensor:
    """How far the shares are from the signal, part by part: 2 - 2 r, where r is the correlation of an example's.

    So neither's scale matters, and what matters least is as much a part of the order as what matters most.
    """
    training = model.training
    model.eval()  # nothing is dropped, and no statistics move
    try:
        output, attention = look(model, batch, layers=False)
        batch = task.held(output, batch)
        places = spread(batch, attention.importance.shape[1])
        signal = decided_by(Removing(model, task), batch, task.choose(output), places, attention)
    finally:
        model.train(training)
    own = own_parts(batch, attention.grids)
    asked = None if own is None else own.gather(1, places)
    if target == "ranking":
        return _misordered(attention.importance.gather(1, places).clamp(min=LEAST).log(), signal, asked)
    found = standardised(attention.importance.gather(1, places).clamp(min=LEAST).log(), asked)  # (batch, asked)
    apart = (found - standardised(signal, asked)).square()
    return apart.mean() if asked is None else apart.sum() / asked.sum().clamp(min=1)


def _misordered(numbers: Tensor, signal: Tensor, asked: Tensor | None) -> Tensor:
    """By how much pairs of parts, (batch, asked), are in another order than the signal's, the more it tells them apart.

    As RankNet's (Burges et al. 2005), the logistic loss of each pair's difference.
    """
    known = torch.ones_like(signal, dtype=torch.bool) if asked is None else asked
    apart = standardised(signal, known)
    apart = apart[:, :, None] - apart[:, None, :]  # (batch, asked, asked)
    pairs = (apart > 0) & known[:, :, None] & known[:, None, :]
    each = F.softplus(numbers[:, None, :] - numbers[:, :, None]) * apart
    return (each * pairs).sum() / (apart * pairs).sum().clamp(min=LEAST)


def spread(batch: Batch, parts: int) -> Tensor:
    """Which parts of each example are asked about, (batch, asked): all, or some evenly spread, others in others.

    They follow from the example's number, so that nothing is drawn at random.
    """
    count = min(parts, ASKED)
    step = torch.arange(count, device=batch.ids.device) * parts // count
    return (batch.ids[:, None] + step) % parts


def decided_by(removing: Removing, batch: Batch, choice: Tensor, places: Tensor, attention: Attention) -> Tensor:
    """How much each of the parts at `places`, (batch, asked), speaks for what was chosen: the same shape.

    It is what the score, or of a probability its log-odds, loses without the part: in some examples beside all others,
    in some beside half of them, since the first alone overlooks what is said twice.
    """
    asked, parts = places.shape[1], attention.importance.shape[1]
    gone = half(batch, parts)  # (batch, parts)
    turned = torch.cat((gone[None], gone ^ F.one_hot(places.T, parts).bool()))  # (1 + asked, batch, parts)
    again = batch.rows(torch.arange(len(batch), device=places.device).repeat(asked + 1))
    found = removing.scores(again, choice.repeat(asked + 1), turned.flatten(0, 1)[None], attention.grids)
    found = found.logit(eps=LEAST) if removing.task.bounded else found
    odds = found.unflatten(1, (asked + 1, -1))[0].T  # (batch, 1 + asked)
    gained = odds[:, 1:] - odds[:, :1]
    return torch.where(gone.gather(1, places), gained, -gained)


def half(batch: Batch, parts: int) -> Tensor:
    """About half of the parts, or none: (batch, parts) bool. Which, follows from the example's number."""
    place = torch.arange(-1, parts, device=batch.ids.device)
    mixed = batch.ids[:, None] * 1_000_003 + place
    for factor in (0x45D9F3B, 0x119DE1F3):  # a hash: neighbours tell nothing of one another
        mixed = ((mixed ^ (mixed >> 16)) * factor) & 0xFFFFFFFF
    coins = (mixed >> 16) % 2 == 0
    return coins[:, 1:] & coins[:, :1]


def _entropy(share: Tensor) -> Tensor:
    """(batch, parts) -> (batch,)"""
    return -(share * share.clamp(min=LEAST).log()).sum(1)
