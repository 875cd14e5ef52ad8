"""The model's own attention: what its pooling read, one forward pass and no backward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look


@dataclass(kw_only=True)
class OwnAttentionConfig(ExplainerConfig):
    """Options of the model's own attention."""


class OwnAttention(Explainer):
    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        _, attention = look(self.model, batch, layers=False, choice=choice)
        return attention.importance
