"""Several looks at one input, averaged into one answer."""

import torch

from attnpred.contracts import Attention, Batch, ImageBatch, ModelOutput
from attnpred.models.base import Model


def look(model: Model, batch: Batch, *, mirror: bool, need_attention: bool = False) -> ModelOutput:
    """The model's output without the layers' weights; with `mirror` the mean of it and of that for mirrored images."""
    output: ModelOutput = model(batch, need_attention=need_attention, need_layers=False)
    if not mirror or not isinstance(batch, ImageBatch):
        return output
    other: ModelOutput = model(batch.mirrored(), need_attention=need_attention, need_layers=False)
    logits = (output.logits.float() + other.logits.float()) / 2
    if output.attention is None or other.attention is None:
        return ModelOutput(logits)
    grid = output.attention.grid
    assert grid is not None, "an image's attention lies on a grid"
    there, back = (a.importance.unflatten(1, grid) for a in (output.attention, other.attention))
    importance = torch.stack((there, back.flip(2))).mean(0).flatten(1)
    return ModelOutput(logits, Attention(importance, (), grid))
