"""Gradients summed on the way from an input without content to the input (Sundararajan et al. 2017), by Captum.

Without content means: mask tokens in place of a text's own, or the training images' mean colour.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch
from attnpred.explain.base import FromFeatures, GradientExplainer, by_part, entrances, grids_of, untrained
from attnpred.explain.removal import emptied


@dataclass(kw_only=True)
class IntegratedGradientsConfig(ExplainerConfig):
    """Options of integrated gradients."""

    steps: int = option("Points on the way at which the gradient is taken.", ge=2, le=100_000)


class IntegratedGradients(GradientExplainer):
    signed: ClassVar[bool] = True
    config: IntegratedGradientsConfig

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        from captum.attr import IntegratedGradients as Captum

        with untrained(self.model):
            found = Captum(FromFeatures(self.model, self.task, batch, choice)).attribute(
                tuple(one.requires_grad_() for one in entrances(self.model, batch)),
                baselines=entrances(self.model, emptied(batch, self.model.spec)),
                n_steps=self.config.steps,
                internal_batch_size=len(batch),  # no more memory than one step of training
            )
        return by_part([one.detach() for one in found], batch, grids_of(self.model, batch))
