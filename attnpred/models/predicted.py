"""Attention as a prediction: a small network beside the answer says how much each part decided it.

What a pooling takes of the places behind the last layer need not be what decided. Every place has heard of the others
by then, and what speaks against the answer is pooled too. Asked to be both, the weights serve neither. So what is
trained to be true (`model.attention_loss=faithful`) has weights of its own, and the answer is that of a model without.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.options import ModelConfig
from attnpred.contracts import AnswerSpec, pick
from attnpred.errors import UserError

HIDDEN = 128
FLAT = 1e-3  # a length of scores below which they count as equal


class PredictedAttention(nn.Module):
    """Sees each part as it entered and as it left the layers, and the whole; no gradient flows back from it."""

    def __init__(self, widths: Sequence[int], whole: int, answer: AnswerSpec, *, knows: bool) -> None:
        super().__init__()
        self.answer = answer
        self.raw = False  # whether numbers of any sign are told, and not shares
        self.alone = False  # trained with all layers below it, apart from any answer; then they are raw, too
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in (*widths, whole))
        self.reads = nn.ModuleList(nn.Linear(width, HIDDEN) for width in (*widths, whole))
        self.hear = nn.Linear(answer.width, HIDDEN, bias=False) if knows else None
        self.tell = nn.Linear(HIDDEN, answer.width, bias=False)

    @classmethod
    def where_asked(
        cls, config: ModelConfig, widths: Sequence[int], whole: int, answer: AnswerSpec, *, knows: bool = False
    ) -> Self | None:
        """For a model with these options; whatever else the model draws at random is the same with it and without.

        `knows`: of some of what each part adds to the answer, it is told how much.
        """
        if config.attention_loss != "faithful":
            return None
        with torch.random.fork_rng(devices=[]):
            return cls(widths, whole, answer, knows=knows)

    def forward(
        self,
        parts: Sequence[Tensor],  # (batch, parts, width) each
        whole: Tensor,  # (batch, width)
        answer: Tensor,  # (batch, width)
        own: Tensor | None,
        *,
        known: Tensor | None = None,  # (batch, parts, width): given where the model `knows`
        choice: Tensor | None = None,
    ) -> Tensor:
        """-> (batch, parts) float32"""
        seen = [x if self.alone else x.detach() for x in (*parts, whole[:, None])]
        read = [linear(norm(x)) for linear, norm, x in zip(self.reads, self.norms, seen, strict=True)]
        if self.hear is not None:
            assert known is not None
            read.insert(0, self.hear(known.detach()))
        scores = self.tell(F.gelu(sum(read[1:], read[0]))).float()  # (batch, parts, width)
        chosen = self.answer.choose(answer) if choice is None else choice
        if self.alone:
            return pick(scores, chosen)
        if known is not None:
            # heard, it is weighed against what the layers make of the part; added, it need not be learned
            scores = scores + known.detach()
        found = pick(scores, chosen)
        return found if self.raw else shares(found, own)


def require_predicted(model: Any) -> None:
    """Raises where a model was asked to predict its attention and has nothing that does."""
    if model.config.attention_loss == "faithful" and model.predicted is None:
        raise UserError(
            f"model.attention_loss=faithful: {type(model).__name__} never sets `predicted`, which tells the "
            "importance; have it do so, or choose another attention_loss"
        )


def shares(scores: Tensor, own: Tensor | None) -> Tensor:
    """Scores of any size and sign, (batch, parts), as shares of the own parts that sum to 1, in the same order.

    Their logarithms deviate by 1: what stands out from many takes most, and where all are alike none does.
    """
    even = standardised(scores.float(), own)
    return (even if own is None else even.masked_fill(~own, -torch.inf)).softmax(1)


def standardised(scores: Tensor, own: Tensor | None) -> Tensor:
    """Scores, (batch, parts), with mean 0 and deviation 1 over the own parts, and 0 on others."""
    kept = torch.ones_like(scores) if own is None else own.float()
    count = kept.sum(1, keepdim=True).clamp(min=1)
    apart = (scores - (scores * kept).sum(1, keepdim=True) / count) * kept
    return F.normalize(apart, eps=FLAT) * count.sqrt()
