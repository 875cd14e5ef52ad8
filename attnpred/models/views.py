"""Several looks at one input, averaged into one answer."""

import torch

from attnpred.contracts import Attention, Batch, ModelOutput
from attnpred.models.base import Model


def answered(model: Model, batch: Batch, *, mirror: bool, need_attention: bool = False) -> ModelOutput:
    """The model's output without the layers' weights; with `mirror` the mean of it and of that for mirrored images."""
    output: ModelOutput = model(batch, need_attention=need_attention, need_layers=False)
    turned = batch.input.mirrored() if mirror and len(batch.inputs) == 1 else None
    if turned is None:
        return output
    other: ModelOutput = model(batch.reading(turned), need_attention=need_attention, need_layers=False)
    answer = (output.answer.float() + other.answer.float()) / 2
    if output.attention is None or other.attention is None:
        return ModelOutput(answer)
    (grid,) = output.attention.grids
    assert grid is not None, "an image's attention lies on a grid"
    there, back = (a.importance.unflatten(1, grid) for a in (output.attention, other.attention))
    importance = torch.stack((there, back.flip(2))).mean(0).flatten(1)
    return ModelOutput(answer, Attention(importance, (), (grid,)))
