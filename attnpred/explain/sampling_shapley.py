"""Shapley values by sampled orders (Castro et al. 2009), by Captum: what a part adds to those that came before it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch, Grid
from attnpred.explain.by_example import ByExample, Present

EVALUATED = 64  # sets at once


@dataclass(kw_only=True)
class SamplingShapleyConfig(ExplainerConfig):
    """Options of sampled Shapley values."""

    orders: int = option("Orders in which the parts come; each takes a pass a part.", ge=1, le=100_000)


class SamplingShapley(ByExample):
    signed: ClassVar[bool] = True
    config: SamplingShapleyConfig

    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        from captum.attr import ShapleyValueSampling

        asked = Present(self.model, self.task, batch, choice, places, grids)
        with torch.no_grad():
            found = ShapleyValueSampling(asked).attribute(
                asked.whole(), n_samples=self.config.orders, perturbations_per_eval=EVALUATED
            )
        return found.flatten()
