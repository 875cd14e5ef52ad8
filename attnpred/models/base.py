"""What every model keeps to: the contract's base class, and how pixels become numbers."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from attnpred.config.options import ModelConfig
from attnpred.contracts import Batch, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageSpec
from attnpred.models.foldable import Foldable
from attnpred.models.predicted import PredictedAttention


class Model(nn.Module, ABC):
    """A network that can tell what it attended to.

    Making one gives it fresh weights, or pretrained ones where it has such; `restore` needs a run directory alone.
    """

    def __init__(self, config: ModelConfig, spec: ModelSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec
        self.home: Path | None = None  # of a trained model, its run directory
        self._frozen: list[nn.Module] = []
        self.predicted: PredictedAttention | None = None  # set by a model last, once it has drawn its own weights

    @abstractmethod
    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        """The answer, and where asked the importance of the inputs' parts. Asking changes no answer beyond rounding.

        With `need_attention` alone the layers' weights come too, which costs far more than the importance: without
        `need_layers` only those are computed that the importance is made of, and `Attention.layers` is empty.
        `choice`, (batch,), says which number of each answer the importance is for, where the model can tell them
        apart; None is `spec.answer.choose`.
        """

    @abstractmethod
    def entrance(self) -> nn.Module:
        """The module whose output stands for the input where gradients are asked for.

        Of texts the tokens' own embeddings, (batch, length, width); of images the pixels as numbers, (batch, channels,
        height, width).
        """

    def last_map(self) -> nn.Module | None:
        """The module whose (first) output is the last convolutional map, one place a part; None where there is none."""
        return None

    def levels(self) -> list[list[nn.Module]]:
        """The modules from the input to the answer, those at one depth together; what is in none counts as input."""
        return [[self]]

    def beside(self) -> list[nn.Module]:
        """What predicts the importance, where something does; no layer feels it."""
        return [] if self.predicted is None else [self.predicted]

    def freeze(self, levels: int, names: list[str]) -> None:
        """Trains the lowest `levels` no more, nor what has a name that begins like one of `names`."""
        known = self.levels()
        if levels >= len(known):
            raise UserError(
                f"model.frozen_levels={levels}: the model has {len(known)}, which leaves nothing to train; take fewer"
            )
        if levels:
            above = {id(p) for modules in known[levels:] for module in modules for p in module.parameters()}
            for p in self.parameters():
                p.requires_grad_(p.requires_grad and id(p) in above)
            self._frozen += [module for modules in known[:levels] for module in modules]
        for start in names:
            found = [p for name, p in self.named_parameters() if f"{name}.".startswith(f"{start}.")]
            if not found:
                first = ", ".join(name for name, _ in self.named_children())
                raise UserError(f"model.frozen: no weight's name begins with {start}; the first parts are {first}")
            for p in found:
                p.requires_grad_(False)
            self._frozen += [module for name, module in self.named_modules() if name == start]
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As ever, but that what is frozen drops nothing and keeps its statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def run(self, module: nn.Module, *inputs: Any, **named: Any) -> Any:
        """Calls a layer; where activations are to be made again, it keeps only what goes in."""
        if self.config.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(module, *inputs, use_reentrant=False, **named)
        return module(*inputs, **named)

    def for_inference(self) -> Self:
        """In evaluation mode and as fast as it can be; afterwards it can neither be trained nor saved."""
        for module in self.eval().modules():
            if isinstance(module, Foldable):
                module.fold()
        return self

    def save_assets(self, directory: Path) -> None:
        """Writes what, beyond config, specification and weights, `restore` needs."""

    @classmethod
    def restore(cls, config: ModelConfig, spec: ModelSpec, directory: Path) -> Self:
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
