"""Integrated gradients by sentence: every word has what its sentence has in the mean, for long texts.

Over hundreds of words the numbers of single ones are mostly noise, and sentences are what people read. What has no
sentences keeps the numbers of its parts.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attnpred.contracts import Batch
from attnpred.explain.base import own_parts
from attnpred.explain.integrated_gradients import IntegratedGradients, IntegratedGradientsConfig


@dataclass(kw_only=True)
class SentencesConfig(IntegratedGradientsConfig):
    """Options of integrated gradients by sentence."""


class Sentences(IntegratedGradients):
    signed: ClassVar[bool] = True
    config: SentencesConfig

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        found = super().half(batch, choice)  # (batch, parts)
        inputs = [(one, self.model.spec.inputs[name]) for name, one in batch.inputs.items()]
        passages = [one.passages(spec) for one, spec in inputs]
        number = passages[0]  # (batch, parts)
        if len(passages) != 1 or number is None:
            return found
        own = own_parts(batch)
        kept = torch.ones_like(found) if own is None else own.float()
        room = found.new_zeros(len(found), int(number.max()) + 1)
        sums = room.scatter_add(1, number, found * kept)
        counts = room.scatter_add(1, number, kept).clamp(min=1)
        return (sums / counts).gather(1, number) * kept
