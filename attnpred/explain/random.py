"""Chance: what every other explainer must beat. The same numbers for the same example, whatever its batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch
from attnpred.explain.base import Explainer, look, own_parts
from attnpred.models.attention import normalise


@dataclass(kw_only=True)
class RandomConfig(ExplainerConfig):
    """Options of chance."""

    seed: int = option("Seed of the numbers.", ge=0)


class Random(Explainer):
    config: RandomConfig

    @torch.no_grad()
    def __call__(self, batch: Batch, choice: Tensor) -> Tensor:
        _, attention = look(self.model, batch, layers=False)
        parts = attention.importance.shape[1]
        rows = []
        for number in batch.ids.tolist():
            generator = torch.Generator().manual_seed(hash((self.config.seed, number)) % 2**63)
            rows.append(torch.rand(parts, generator=generator))
        return normalise(torch.stack(rows).to(attention.importance.device), own_parts(batch, attention.grids))
