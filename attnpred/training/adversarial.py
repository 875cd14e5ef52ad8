"""Adversarial training: beside each example, the same one moved to where the model does worst (Miyato et al. 2017).

What is moved is what the model's entrance makes of the input: vectors of tokens, or pixels and values as numbers. One
mechanism so holds for texts, images and series.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnpred.config.adversarial_options import AdversarialConfig
from attnpred.contracts import Batch, ModelOutput
from attnpred.models.base import Model

LEAST = 1e-12  # length of a gradient that is divided by


class Adversary:
    def __init__(self, options: AdversarialConfig) -> None:
        self._options = options

    def loss(self, loss: Tensor, model: Model, batch: Batch, measure: Callable[[ModelOutput, Batch], Tensor]) -> Tensor:
        """The loss that is trained on: `loss`, that of the examples, and that of the same ones moved."""
        moves = self._moves(model, batch, measure)
        with _Hook(model, lambda made: made + moves.to(made.dtype)):
            moved = measure(model(batch), batch)
        return (1 - self._options.share) * loss + self._options.share * moved

    def _moves(self, model: Model, batch: Batch, measure: Callable[[ModelOutput, Batch], Tensor]) -> Tensor:
        """How far to move what the entrance makes, (batch, …): up the loss, as a share of an example's length."""
        made: list[Tensor] = []

        def leaf(features: Tensor) -> Tensor:
            made.append(features.detach().requires_grad_())
            return made[0]

        with torch.enable_grad(), _Hook(model, leaf):
            [slope] = torch.autograd.grad(measure(model(batch), batch), made[0])
        own, up = (one.float().flatten(1).norm(dim=1) for one in (made[0], slope))  # (batch,)
        step = self._options.size * own / up.clamp(min=LEAST)
        return slope.float() * step.view(-1, *[1] * (slope.ndim - 1))


class _Hook:
    """While it lasts, the model goes on with what `change` makes of its entrance's features."""

    def __init__(self, model: Model, change: Callable[[Tensor], Tensor]) -> None:
        self._model, self._change = model, change

    def __enter__(self) -> None:
        def hook(module: Any, given: Any, made: Tensor) -> Tensor:
            return self._change(made)

        self._handle = self._model.entrance().register_forward_hook(hook)

    def __exit__(self, *error: object) -> None:
        self._handle.remove()


def adversary(options: AdversarialConfig) -> Adversary | None:
    return Adversary(options) if options.size else None
