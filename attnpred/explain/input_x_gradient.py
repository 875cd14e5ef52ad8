"""The gradient of the class at the input's features, times the features (Shrikumar et al. 2016), by Captum."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import FromFeatures, GradientExplainer, by_part, entrance, grid_of, untrained


@dataclass(kw_only=True)
class InputXGradientConfig(ExplainerConfig):
    """Options of gradient times input."""


class InputXGradient(GradientExplainer):
    signed: ClassVar[bool] = True

    def half(self, batch: Batch, target: Tensor) -> Tensor:
        from captum.attr import InputXGradient as Captum

        with untrained(self.model):
            method = Captum(FromFeatures(self.model, batch))
            found = method.attribute(entrance(self.model, batch).requires_grad_(), target=target)
        return by_part(found.detach(), batch, grid_of(self.model, batch))
