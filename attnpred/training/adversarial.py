"""Adversarial training: beside each example, the same one moved to where the model does worst (Miyato et al. 2017).

What is moved is what the model's entrance makes of the input: vectors of tokens, or pixels and values as numbers. One
mechanism so holds for texts, images and series.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        with _hooked(model, lambda place, made: made + moves[place].to(made.dtype)):
            moved = measure(model(batch), batch)
        return (1 - self._options.share) * loss + self._options.share * moved

    def _moves(self, model: Model, batch: Batch, measure: Callable[[ModelOutput, Batch], Tensor]) -> list[Tensor]:
        """How far to move what each entrance makes, (batch, …): up the loss, as a share of an example's length."""
        made: dict[int, Tensor] = {}

        def leaf(place: int, features: Tensor) -> Tensor:
            made[place] = features.detach().requires_grad_()
            return made[place]

        with torch.enable_grad(), _hooked(model, leaf):
            loss = measure(model(batch), batch)
        each = [made[place] for place in sorted(made)]
        slopes = torch.autograd.grad(loss, each)
        steps = [
            self._options.size * _lengths(own) / _lengths(up).clamp(min=LEAST)
            for own, up in zip(each, slopes, strict=True)
        ]
        return [up.float() * step.view(-1, *[1] * (up.ndim - 1)) for up, step in zip(slopes, steps, strict=True)]


def _lengths(features: Tensor) -> Tensor:
    """(batch, …) -> (batch,)"""
    return features.float().flatten(1).norm(dim=1)


@contextmanager
def _hooked(model: Model, change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, the model goes on with what `change` makes of its entrances' features, by their number."""
    handles = [
        entrance.register_forward_hook(lambda module, given, made, place=place: change(place, made))
        for place, entrance in enumerate(model.entrances())
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def adversary(options: AdversarialConfig) -> Adversary | None:
    return Adversary(options) if options.size else None
