"""Leave one out: how far the class's probability falls when a part is taken away."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig, Removal
from attnpred.config.schema import option
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look, of_class, own_parts
from attnpred.explain.removal import probabilities


@dataclass(kw_only=True)
class OcclusionConfig(ExplainerConfig):
    """Options of leaving one out."""

    removal: Removal | None = option("How a part is taken away; null: as the model's kind of input usually has it.")


class Occlusion(Explainer):
    signed: ClassVar[bool] = True
    config: OcclusionConfig

    @torch.no_grad()
    def __call__(self, batch: Batch, target: Tensor) -> Tensor:
        logits, attention = look(self.model, batch, layers=False)
        whole = of_class(logits.softmax(1), target)
        parts = attention.importance.shape[1]
        each = torch.eye(parts, dtype=torch.bool, device=logits.device)
        gone = each[:, None, :].expand(parts, len(batch), parts)
        without = probabilities(self.model, batch, target, gone, self.config.removal, attention.grid)
        fall = (whole - without).T  # (batch, parts)
        own = own_parts(batch)
        return fall if own is None else fall * own
