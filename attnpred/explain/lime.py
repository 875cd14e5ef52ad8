"""LIME (Ribeiro et al. 2016), by Captum: a linear model of the score around the example, near ones counting most.

What is near has most of its parts; by default about as much as half of them may be gone.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.config.schema import option
from attnpred.contracts import Batch, Grid
from attnpred.explain.by_example import ByExample, Present


@dataclass(kw_only=True)
class LimeConfig(ExplainerConfig):
    """Options of LIME."""

    samples: int = option("Sets of parts that are tried out.", ge=2, le=100_000)
    ridge: float = option("Weight of the linear model's squared coefficients.", ge=0)
    width: float = option("Cosine distance from the whole example at which a set counts little.", gt=0)


class Lime(ByExample):
    signed: ClassVar[bool] = True
    config: LimeConfig

    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        from captum._utils.models.linear_model import SkLearnRidge
        from captum.attr import LimeBase

        asked = Present(self.model, self.task, batch, choice, places, grids)
        method = LimeBase(
            asked,
            SkLearnRidge(alpha=self.config.ridge),
            similarity_func=self._near,
            perturb_func=lambda whole, **_: torch.bernoulli(torch.full_like(whole, 0.5)),
            perturb_interpretable_space=True,
            from_interp_rep_transform=lambda present, whole, **_: present,
            to_interp_rep_transform=None,
        )
        with torch.no_grad():
            found = method.attribute(asked.whole(), n_samples=self.config.samples, perturbations_per_eval=EVALUATED)
        return found.flatten().to(places.device)

    def _near(self, whole: Tensor, _: Tensor, present: Tensor, **__: Any) -> Tensor:
        """The kernel: 1 for the whole, less the more is gone."""
        distance = 1 - torch.cosine_similarity(whole, present, dim=1)
        return torch.exp(-distance.square() / self.config.width**2)


EVALUATED = 64  # sets at once
