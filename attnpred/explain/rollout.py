"""Attention rollout (Abnar and Zuidema 2020): the pooling's weights followed back through all layers.

A layer passes on half of what reaches it by its attention, averaged over heads, and half by the path around it.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.models.attention import normalise, pass_through


@dataclass(kw_only=True)
class RolloutConfig(ExplainerConfig):
    """Options of attention rollout."""


class Rollout(Explainer):
    inside: ClassVar[bool] = True

    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        _, attention = look(self.model, batch, layers=True, choice=choice)
        assert attention.read is not None
        share = attention.read.float()  # (batch, positions)
        for weights in reversed(attention.layers):
            gates = weights.shape[2] == 1  # and mix nothing
            share = share * weights[:, 0, 0] if gates else 0.5 * (share + pass_through(share, weights))
        parts = attention.importance.shape[1]
        return normalise(share[:, -parts:], own_parts(batch, attention.grids))
