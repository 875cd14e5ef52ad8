"""The gradient of the answer at the input's features, times the features (Shrikumar et al. 2016), by Captum."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import FromFeatures, GradientExplainer, by_part, entrances, grids_of, untrained


@dataclass(kw_only=True)
class InputXGradientConfig(ExplainerConfig):
    """Options of gradient times input."""


class InputXGradient(GradientExplainer):
    signed: ClassVar[bool] = True

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        from captum.attr import InputXGradient as Captum

        with untrained(self.model):
            method = Captum(FromFeatures(self.model, self.task, batch, choice))
            found = method.attribute(tuple(one.requires_grad_() for one in entrances(self.model, batch)))
        return by_part([one.detach() for one in found], batch, grids_of(self.model, batch))
