"""What is added to the objective to make a model's attention sharper, or truer."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config import AttentionLoss
from attnpred.contracts import Attention, Batch
from attnpred.explain import truth
from attnpred.explain.base import FromFeatures, by_part, entrance, look, of_class, own_parts, untrained
from attnpred.explain.removal import emptied
from attnpred.models.base import Model
from attnpred.models.predicted import sharpened

SAMPLE = 8  # one in so many examples of a batch tells by what its label was decided
STEPS = 4  # on the way from an input without content to the input, at which the gradient is taken
LEAST = 1e-6  # a share below which a logarithm is cut


def attention_loss(kind: AttentionLoss, model: Model, batch: Batch, attention: Attention | None) -> Tensor:
    """A scalar, averaged over the examples that it speaks of; `faithful` looks by itself and needs no attention.

    `entropy`: how spread the importance is, 1 where all parts have the same. `supervised`: the logarithm of what falls
    beside the recorded evidence. `faithful`: how far the shares' logarithms are from what the model's gradients say.
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
        own = own_parts(batch)
        signal = sharpened(decided_by(model, batch, logits.argmax(1), attention.grid), own)
    finally:
        model.train(training)
    apart = attention.importance.clamp(min=LEAST).log() - signal.clamp(min=LEAST).log()  # (batch, parts)
    kept = torch.ones_like(apart) if own is None else own.float()
    middle = (apart * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True)  # shares have no level of their own
    return ((apart - middle) * kept).square().sum(1).mean()


def decided_by(model: Model, batch: Batch, target: Tensor, grid: tuple[int, int] | None) -> Tensor:
    """What spoke for a class, and against it: integrated gradients of its logarithm, (batch, parts), of length 1."""
    content, nothing = entrance(model, batch), entrance(model, emptied(batch, model.spec))
    way = (torch.arange(STEPS, device=content.device) + 0.5) / STEPS
    points = torch.cat([nothing + step * (content - nothing) for step in way]).requires_grad_()
    with untrained(model):
        logits = FromFeatures(model, batch)(points)
        chosen = of_class(logits.log_softmax(1), target.repeat(STEPS)).sum()
        [slopes] = torch.autograd.grad(chosen, points)
    slope = slopes.unflatten(0, (STEPS, -1)).mean(0)
    return F.normalize(by_part(slope * (content - nothing), batch, grid))


def _entropy(share: Tensor) -> Tensor:
    """(batch, parts) -> (batch,)"""
    return -(share * share.clamp(min=LEAST).log()).sum(1)
