"""AttnLRP (Achtibat et al. 2024): the answer handed back to the input, layer by layer, losing little.

As the authors show, it is gradient times input under changed rules of differentiation: see `Rules`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attnpred.config.options import ExplainerConfig
from attnpred.contracts import Batch
from attnpred.explain.base import GradientExplainer, by_part, entering, entrances, look, untrained


@dataclass(kw_only=True)
class AttnLRPConfig(ExplainerConfig):
    """Options of AttnLRP."""


class AttnLRP(GradientExplainer):
    signed: ClassVar[bool] = True

    def half(self, batch: Batch, choice: Tensor) -> Tensor:
        features = [one.requires_grad_() for one in entrances(self.model, batch)]
        with untrained(self.model), entering(self.model, features), Rules():
            # asked for weights, attention is spelt out in operations that the rules know
            output, attention = look(self.model, batch, layers=True, choice=choice)
            score = self.task.score(output, choice, linear=True)
            gradients = torch.autograd.grad(score.sum(), features)
        found = [(one * gradient).detach() for one, gradient in zip(features, gradients, strict=True)]
        return by_part(found, batch, attention.grids)


class Rules(TorchFunctionMode):
    """Within it, backward passes hand relevance on, where weights need no gradient.

    Products of two activations, as attention's, share it evenly; an activation function passes it as it comes; a norm
    divides by a constant; a gate is one. The rest is gradient times input already: linear maps, and softmax by its own
    derivative.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        rule = RULES.get(func)
        return func(*args, **kwargs) if rule is None else rule(func, *args, **kwargs)


def _activation(func: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    y = func(x.detach(), *args, **kwargs)
    return x * torch.where(x == 0, 0, y / x).detach()


def _gate(func: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return func(x.detach(), *args, **kwargs)


def _product(func: Callable[..., Tensor], x: Any, y: Any, *args: Any, **kwargs: Any) -> Tensor:
    if _flows(x) and _flows(y):
        x, y = _halved(x), _halved(y)
    return func(x, y, *args, **kwargs)


def _layer_norm(
    func: Any,
    x: Tensor,
    shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    spread = (centred.square().mean(axes, keepdim=True) + eps).sqrt().detach()
    y = centred / spread
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _flows(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _halved(x: Tensor) -> Tensor:
    """The same numbers, half of the gradient."""
    return 0.5 * x + (0.5 * x).detach()


RULES: dict[Any, Callable[..., Tensor]] = {
    F.layer_norm: _layer_norm,
    **dict.fromkeys((F.gelu, F.silu, F.relu, torch.relu, torch.tanh, Tensor.tanh, Tensor.relu), _activation),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid, F.sigmoid), _gate),
    **dict.fromkeys(
        (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mul, Tensor.mul, Tensor.__mul__),
        _product,
    ),
}
