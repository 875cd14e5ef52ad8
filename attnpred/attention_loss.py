"""What is added to the objective to make a model's attention sharper, or truer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config import AttentionLoss
from attnpred.contracts import Attention, Batch
from attnpred.explain import truth
from attnpred.explain.base import look, own_parts
from attnpred.explain.removal import probabilities
from attnpred.models.base import Model
from attnpred.models.predicted import SHARPNESS

SAMPLE = 16  # one in so many examples of a batch tells by what its label was decided
ASKED = 16  # parts of such an example, at most, that are left out one by one: two more forward passes a step in all
LEAST = 1e-6  # a share below which a logarithm is cut


def attention_loss(kind: AttentionLoss, model: Model, batch: Batch, attention: Attention | None) -> Tensor:
    """A scalar, averaged over the examples that it speaks of; `faithful` looks by itself and needs no attention.

    `entropy`: how spread the importance is, 1 where all parts have the same. `supervised`: the logarithm of what falls
    beside the recorded evidence. `faithful`: how far the shares' logarithms are from what leaving parts out shows.
    """
    if kind == "faithful":
        return _unfaithful(model, batch.rows(torch.arange(0, len(batch), SAMPLE, device=batch.ids.device)))
    assert attention is not None
    share = attention.importance  # (batch, parts)
    if kind == "entropy":
        own = own_parts(batch)
        count = torch.full_like(share[:, 0], share.shape[1]) if own is None else own.sum(1).float()
        return (_entropy(share) / count.clamp(min=2).log()).mean()
    evidence = truth.of_parts(batch, attention.grid)
    if evidence is None:  # lost where images were mixed
        return share.sum() * 0.0
    some = evidence.any(1)
    found = (share * evidence).sum(1).clamp(min=LEAST).log()
    return -(found * some).sum() / some.sum().clamp(min=1)


def _unfaithful(model: Model, batch: Batch) -> Tensor:
    """Squares of how far the shares are from the signal, where every part counts alike.

    What matters least is as much a part of the order as what matters most.
    """
    training = model.training
    model.eval()  # nothing is dropped, and no statistics move
    try:
        logits, attention = look(model, batch, layers=False)
        places = spread(batch, attention.importance.shape[1])
        signal = SHARPNESS * decided_by(model, batch, logits.argmax(1), places, attention)
    finally:
        model.train(training)
    own = own_parts(batch)
    apart = attention.importance.gather(1, places).clamp(min=LEAST).log() - signal  # (batch, asked)
    kept = torch.ones_like(apart) if own is None else own.gather(1, places).float()
    middle = (apart * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1)  # shares have no level
    return ((apart - middle) * kept).square().sum(1).mean()


def spread(batch: Batch, parts: int) -> Tensor:
    """Which parts of each example are asked about, (batch, asked): all, or some evenly spread, others in others.

    They follow from the example's number, so that nothing is drawn at random.
    """
    count = min(parts, ASKED)
    step = torch.arange(count, device=batch.ids.device) * parts // count
    return (batch.ids[:, None] + step) % parts


def decided_by(model: Model, batch: Batch, target: Tensor, places: Tensor, attention: Attention) -> Tensor:
    """How much each of the parts at `places`, (batch, asked), speaks for a class: the same shape, of length 1.

    What the class's probability loses where a part alone is missing, and what it gains where a part alone is there.
    The first overlooks what is said twice, the second what must come together.
    """
    asked = places.shape[1]
    alone = F.one_hot(places.T, attention.importance.shape[1]).bool().flatten(0, 1)  # (asked x batch, parts)
    again = batch.rows(torch.arange(len(batch), device=places.device).repeat(asked))
    gone = torch.stack((alone, ~alone))
    missing, there = probabilities(model, again, target.repeat(asked), gone, None, attention.grid)
    speaks = (there - missing).unflatten(0, (asked, -1)).T  # (batch, asked)
    own = own_parts(batch)
    return F.normalize(speaks if own is None else speaks * own.gather(1, places))


def _entropy(share: Tensor) -> Tensor:
    """(batch, parts) -> (batch,)"""
    return -(share * share.clamp(min=LEAST).log()).sum(1)
