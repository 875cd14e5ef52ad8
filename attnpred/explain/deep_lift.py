"""DeepLIFT (Shrikumar et al. 2017), by its rescale rule: differences from an input without content, handed back.

Captum has it for models whose activations are modules. Here they are functions, and the rule is kept where they are
called. In place of its slope, an activation passes its change over its input's change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import GradientExplainer, by_part, entering, entrances, look, untrained
from attnpred.explain.removal import emptied

STEP = 1e-4  # a change below which the slope itself is taken


@dataclass(kw_only=True)
class DeepLiftConfig(ExplainerConfig):
    """Options of DeepLIFT."""


class DeepLift(GradientExplainer):
    signed: ClassVar[bool] = True

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        features = [one.requires_grad_() for one in entrances(self.model, batch)]
        nothing = entrances(self.model, emptied(batch, self.model.spec))
        both = batch.rows(torch.arange(len(batch), device=choice.device).repeat(2))
        with untrained(self.model), entering(self.model, _beside(features, nothing)), Rescale():
            # asked for weights, attention is spelt out in operations that can be followed
            output, attention = look(self.model, both, layers=True, choice=choice.repeat(2))
            score = self.task.score(output, choice.repeat(2), linear=True)[: len(batch)]
            gradients = torch.autograd.grad(score.sum(), features, allow_unused=True)
        handed = [
            torch.zeros_like(here) if slope is None else ((here - there) * slope).detach()
            for here, there, slope in zip(features, nothing, gradients, strict=True)
        ]
        return by_part(handed, batch, attention.grids)


def _beside(features: Sequence[Tensor], nothing: Sequence[Tensor]) -> list[Tensor]:
    """Of each input what enters, and behind it what enters where nothing is there: (2 x batch, ...)."""
    return [torch.cat(pair) for pair in zip(features, nothing, strict=True)]


class Rescale(TorchFunctionMode):
    """Within it the first half of a batch is the input and the second what it is held against."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return _rescaled(func, *args, **kwargs) if func in ACTIVATIONS else func(*args, **kwargs)


def _rescaled(func: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    kwargs.pop("inplace", None)
    here, there = x.chunk(2)
    with torch.no_grad():
        now, then = func(x, *args, **kwargs).chunk(2)
        change = here - there
        far = change.abs() > STEP
        slope = torch.where(far, (now - then) / torch.where(far, change, 1.0), 0.0)
    # where hardly anything changes the function's own slope holds
    own = func(here, *args, **kwargs)
    passed = torch.where(far, now + slope * (here - here.detach()), own)
    return torch.cat((passed, then))


ACTIVATIONS = {
    *(F.gelu, F.silu, F.relu, F.sigmoid, F.hardswish, F.hardsigmoid, F.elu, F.leaky_relu, F.softplus),
    *(torch.relu, torch.tanh, torch.sigmoid, Tensor.tanh, Tensor.relu, Tensor.sigmoid),
}
