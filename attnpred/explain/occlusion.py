"""Leave one out: how far the answer's score falls when a part is taken away."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig, Removal
from attnpred.config.schema import option
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.explain.removal import Removing


@dataclass(kw_only=True)
class OcclusionConfig(ExplainerConfig):
    """Options of leaving one out."""

    removal: Removal | None = option("How a part is taken away; null: as the model's kind of input usually has it.")


class Occlusion(Explainer):
    signed: ClassVar[bool] = True
    config: OcclusionConfig

    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        output, attention = look(self.model, batch, layers=False)
        whole = self.task.score(output, choice)
        parts = attention.importance.shape[1]
        each = torch.eye(parts, dtype=torch.bool, device=whole.device)
        gone = each[:, None, :].expand(parts, len(batch), parts)
        removing = Removing(self.model, self.task, self.config.removal)
        without = removing.scores(batch, choice, gone, attention.grids)
        fall = (whole - without).T  # (batch, parts)
        own = own_parts(batch, attention.grids)
        return fall if own is None else fall * own
