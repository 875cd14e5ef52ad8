"""Grad-CAM (Selvaraju et al. 2017), by Captum: the last map's channels, weighed by their mean gradient."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.explain.base import FromFeatures, GradientExplainer, entrances, grids_of, untrained
from attnpred.models.attention import normalise
from attnpred.models.base import Model
from attnpred.tasks.base import Task


@dataclass(kw_only=True)
class GradcamConfig(ExplainerConfig):
    """Options of Grad-CAM."""


class Gradcam(GradientExplainer):
    def __init__(self, config: GradcamConfig, model: Model, task: Task) -> None:
        super().__init__(config, model, task)
        if model.last_map() is None:
            raise UserError(
                "--explainer gradcam: this model has no convolutional map; use grad_attention, its like for attention"
            )

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        from captum.attr import LayerGradCam

        last = self.model.last_map()
        assert last is not None
        grids = grids_of(self.model, batch)
        counts = [one.parts(grid) for one, grid in zip(batch.inputs.values(), grids, strict=True)]
        with untrained(self.model):
            method = LayerGradCam(FromFeatures(self.model, self.task, batch, choice), last)
            features = tuple(one.requires_grad_() for one in entrances(self.model, batch))
            found = method.attribute(features, relu_attributions=True)
        assert isinstance(found, Tensor)
        place = next(i for i, one in enumerate(features) if one.ndim == 4)  # of several inputs, the image
        grid = grids[place]
        assert grid is not None
        cells = F.adaptive_avg_pool2d(found.detach().float(), grid)  # (batch, 1, rows, columns)
        before, behind = sum(counts[:place]), sum(counts[place + 1 :])
        return F.pad(normalise(cells.flatten(1), None), (before, behind))
