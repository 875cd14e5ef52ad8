"""Gradient SHAP (Lundberg and Lee 2017), by Captum: gradients at drawn points on the way from an input without content.

Noise is added to the input, so that the way is another each time.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch, Grid
from attnpred.explain.base import FromFeatures, by_part, entrance, untrained
from attnpred.explain.by_example import ByExample
from attnpred.explain.removal import emptied


@dataclass(kw_only=True)
class GradientShapConfig(ExplainerConfig):
    """Options of gradient SHAP."""

    samples: int = option("Points at which the gradient is taken.", ge=1, le=100_000)
    noise: float = option("Deviation of the noise, in deviations of the input's features.", ge=0)


class GradientShap(ByExample):
    signed: ClassVar[bool] = True
    config: GradientShapConfig

    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        from captum.attr import GradientShap as Captum

        features = entrance(self.model, batch)
        with untrained(self.model):
            found = Captum(FromFeatures(self.model, self.task, batch, choice)).attribute(
                features.requires_grad_(),
                baselines=entrance(self.model, emptied(batch, self.model.spec)),
                n_samples=self.config.samples,
                stdevs=self.config.noise * float(features.detach().std()),
            )
        return by_part(torch.as_tensor(found).detach(), batch, grids)[0, places]
