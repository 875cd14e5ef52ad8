"""What every model keeps to: the contract's base class, and how pixels become numbers."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from attnpred.config import ModelConfig
from attnpred.contracts import Batch, ImageSpec, InputSpec, ModelOutput


class Model(nn.Module, ABC):
    """A classifier that can tell what it attended to.

    Making one gives it fresh weights, or pretrained ones where it has such; `restore` needs a run directory alone.
    """

    def __init__(self, config: ModelConfig, spec: InputSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    @abstractmethod
    def forward(self, batch: Batch, *, need_attention: bool = False, need_layers: bool = True) -> ModelOutput:
        """Logits, and where asked the importance of the input's parts; asking changes no logit beyond rounding.

        With `need_attention` alone the layers' weights come too, which costs far more than the importance: without
        `need_layers` only those are computed that the importance is made of, and `Attention.layers` is empty.
        """

    def save_assets(self, directory: Path) -> None:
        """Writes what, beyond config, specification and weights, `restore` needs."""

    @classmethod
    def restore(cls, config: ModelConfig, spec: InputSpec, directory: Path) -> Self:
        """The architecture, its weights still to be loaded; reads nothing outside `directory`."""
        return cls(config, spec)


class PixelNorm(nn.Module):
    """Pixels of 0 to 255, uint8 or float, to channels of zero mean and unit deviation, in the weights' format."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        # A constant channel has no deviation to divide by
        scale = 1 / torch.tensor(spec.std, dtype=torch.float32).clamp_min(1e-3)
        shift = -torch.tensor(spec.mean, dtype=torch.float32) * scale
        # Not in checkpoints: the specification beside them has the same numbers
        self.register_buffer("scale", scale.view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(-1, 1, 1), persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same shape"""
        return torch.addcmul(self.shift, pixels.to(self.scale.dtype), self.scale)
