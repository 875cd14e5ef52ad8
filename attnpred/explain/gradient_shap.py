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
from attnpred.explain.base import FromFeatures, by_part, entrances, untrained
from attnpred.explain.by_example import ByExample
from attnpred.explain.removal import emptied


@dataclass(kw_only=True)
class GradientShapConfig(ExplainerConfig):
    """Options of gradient SHAP."""

    samples: int = option("Points at which the gradient is taken.", ge=1, le=100_000)
    noise: float = option("Deviation of the noise, in deviations of the input's features.", ge=0)


class GradientShap(ByExample):
    signed: ClassVar[bool] = True
    inside: ClassVar[bool] = True
    config: GradientShapConfig

    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        from captum.attr import GradientShap as Captum

        features = entrances(self.model, batch)
        deviation = self.config.noise * float(torch.cat([one.flatten() for one in features]).std())
        with untrained(self.model):
            found = Captum(FromFeatures(self.model, self.task, batch, choice)).attribute(
                tuple(one.requires_grad_() for one in features),
                baselines=entrances(self.model, emptied(batch, self.model.spec)),
                n_samples=self.config.samples,
                stdevs=deviation,
            )
        return by_part([one.detach() for one in found], batch, grids)[0, places]
