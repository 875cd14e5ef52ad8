"""What keeps a model from forgetting: earlier tasks' examples again, weights that are held, its own former answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.continual_options import ContinualConfig
from attnpred.contracts import AnswerSpec, Batch, ModelOutput
from attnpred.data.batching import BatchLoader
from attnpred.errors import UserError
from attnpred.models.base import Model

Measure = Callable[[ModelOutput, Batch], Tensor]  # of an output to a batch, averaged over its examples: a scalar


class Replay:
    """A buffer of earlier tasks' training examples, of which a step sees some beside its own.

    It holds row numbers alone. What a step draws depends on torch's generator, whose state checkpoints keep.
    """

    def __init__(self, loaders: Sequence[BatchLoader], size: int, share: float, seed: int) -> None:
        self._loaders, self._share = loaders, share
        # `size` shared out, and of a task with fewer rows all of them
        quotas = [size // len(loaders) + (place < size % len(loaders)) for place in range(len(loaders))]
        random = np.random.default_rng(seed)
        self.places = [
            random.permutation(loader.examples)[:quota] for loader, quota in zip(loaders, quotas, strict=True)
        ]
        if not all(map(len, self.places)):
            raise UserError(f"continual.replay={size}: keeps nothing of one of {len(loaders)} earlier tasks; raise it")

    def beside(self, count: int) -> Batch:
        """Examples of one earlier task, so many that they are their share of a step beside `count` others."""
        number = max(round(count * self._share / (1 - self._share)), 1)
        task = int(torch.randint(len(self.places), ()))
        held = self.places[task]
        chosen = torch.randint(len(held), (number,)).numpy() if number > len(held) else _few(len(held), number)
        return self._loaders[task].at(held[chosen])


def _few(count: int, number: int) -> Any:
    return torch.randperm(count)[:number].numpy()


class Anchor:
    """Elastic weight consolidation (Kirkpatrick et al. 2017): a weight is held by how much earlier tasks hang on it.

    That is the mean square of the gradient of an example's loss, for the labels that the data has (the empirical Fisher
    information). It is taken once, of the model that the run begins with, over examples of all earlier tasks.
    """

    def __init__(self, before: Model, loss: Measure, batches: Iterable[Batch]) -> None:
        places = dict(before.named_parameters())
        fisher = {name: torch.zeros_like(place) for name, place in places.items()}
        count = 0
        for batch in batches:
            for row in range(len(batch)):
                one = batch.rows(torch.tensor([row]))
                before.zero_grad()
                loss(before(one), one).backward()
                count += 1
                for name, place in places.items():
                    if place.grad is not None:
                        fisher[name] += place.grad.square()
        before.zero_grad()
        self._held = {name: (fisher[name] / count, place.detach()) for name, place in places.items()}

    def __call__(self, model: Model) -> Tensor:
        """How far the weights have gone, each by its importance: a scalar."""
        total = torch.zeros((), device=next(model.parameters()).device)
        for name, p in model.named_parameters():
            if p.requires_grad:
                importance, place = (one.to(p.device) for one in self._held[name])
                total = total + (importance * (p - place).square()).sum()
        return total / 2


class FormerSelf:
    """The model as it was, whose answers are kept near (Li and Hoiem 2016): of classes, their softened chances."""

    def __init__(self, before: Model, answer: AnswerSpec, temperature: float) -> None:
        """`answer`: of the model as it was, whose classes come first."""
        self._before, self._answer, self._temperature = before, answer, temperature

    def __call__(self, output: ModelOutput, batch: Batch) -> Tensor:
        with torch.no_grad():
            said = answer_of(self._before.to(batch.ids.device)(batch), self._answer)
        now = answer_of(output, self._answer)
        if output.answered is not None:
            said, now = said[output.answered >= 0], now[output.answered >= 0]
        if self._answer.centred:
            return F.mse_loss(now, said)
        heat = self._temperature
        if not self._answer.exclusive:
            return F.binary_cross_entropy_with_logits(now / heat, (said / heat).sigmoid()) * heat**2
        now, said = ((one / heat).log_softmax(-1) for one in (now, said))
        return F.kl_div(now, said, reduction="batchmean", log_target=True) * heat**2


def answer_of(output: ModelOutput, answer: AnswerSpec) -> Tensor:
    """Those numbers of an answer that there were before classes were added: (batch, …, width), in float32"""
    return output.answer.float()[..., : answer.width]


class Kept:
    """All that is done in a step against forgetting, as far as options ask for it."""

    def __init__(
        self, options: ContinualConfig, replay: Replay | None, anchor: Anchor | None, former: FormerSelf | None
    ) -> None:
        self._options, self._replay, self._anchor, self._former = options, replay, anchor, former

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: a copy of a learner, such as one that memory is estimated with, has no examples of its own."""
        return self

    def loss(
        self, loss: Tensor, output: ModelOutput, batch: Batch, again: Callable[[Batch], Any], model: Model
    ) -> Tensor:
        """The loss of a step that is trained on, from that of its own examples. `again` is given replayed examples, and
        returns them as the model was shown them, its output and their loss.
        """
        former = None if self._former is None else self._former(output, batch)
        if self._replay is not None:
            shown, said, other = again(self._replay.beside(len(batch)).to(batch.ids.device))
            share = len(shown) / (len(shown) + len(batch))
            loss = (1 - share) * loss + share * other
            if self._former is not None and former is not None:
                former = (1 - share) * former + share * self._former(said, shown)
        if former is not None:
            loss = loss + self._options.distillation * former
        return loss if self._anchor is None else loss + self._options.ewc * self._anchor(model)
