"""Kernel SHAP (Lundberg and Lee 2017), by Captum: Shapley values by a linear model of sets of parts, so weighed."""

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
class KernelShapConfig(ExplainerConfig):
    """Options of Kernel SHAP."""

    samples: int = option("Sets of parts that are tried out.", ge=4, le=100_000)


class KernelShap(ByExample):
    signed: ClassVar[bool] = True
    config: KernelShapConfig

    def one(self, batch: Batch, choice: Tensor, places: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        from captum.attr import KernelShap as Captum

        asked = Present(self.model, self.task, batch, choice, places, grids)
        with torch.no_grad():
            if len(places) < 2:  # nothing to share out
                return (asked(asked.whole()) - asked(1 - asked.whole())).expand(len(places))
            found = Captum(asked).attribute(
                asked.whole(), n_samples=self.config.samples, perturbations_per_eval=EVALUATED
            )
        return found.flatten().to(places.device)
