"""Attention weighed by its gradient, followed through all layers (Chefer, Gur and Wolf 2021).

Of a layer's weights only those count whose growth would raise the answer, averaged over heads. What is relevant behind
a layer is relevant before it, and so is what it attended to.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import GradientExplainer, entering, entrances, look, own_parts
from attnpred.models.attention import normalise, pass_through


@dataclass(kw_only=True)
class GradAttentionConfig(ExplainerConfig):
    """Options of gradient-weighted attention."""


class GradAttention(GradientExplainer):
    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        features = [one.requires_grad_() for one in entrances(self.model, batch)]
        with torch.enable_grad(), entering(self.model, features):
            output, attention = look(self.model, batch, layers=True, choice=choice)
            assert attention.read is not None
            weights = [attention.read, *attention.layers]
            computed = [w for w in weights if w.requires_grad]
            chosen = self.task.score(output, choice, linear=True).sum()
            slopes = torch.autograd.grad(chosen, computed, allow_unused=True) if computed else ()
        gradient = dict(zip(computed, slopes, strict=True))
        read, *layers = (_helpful(w, gradient.get(w)) for w in weights)
        relevance = read.float()  # (batch, positions)
        for helpful in reversed(layers):
            gates = helpful.shape[2] == 1  # and mix nothing
            relevance = relevance * helpful[:, 0, 0] if gates else relevance + pass_through(relevance, helpful)
        parts = attention.importance.shape[1]
        return normalise(relevance[:, -parts:], own_parts(batch, attention.grids))


def _helpful(weights: Tensor, gradient: Tensor | None) -> Tensor:
    """The weights that raise the answer; all, where they are set and not computed, or only a view of what was used."""
    return (weights if gradient is None else (weights * gradient).clamp(min=0)).detach()
