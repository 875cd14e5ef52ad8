"""A linear-chain conditional random field over a text's parts (Lafferty et al. 2001): which tag follows which counts.

Parts without an answer, such as a word's second token, are passed over: a chain goes from word to word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

SPEED = 10.0  # by AdamW a step's number moves as fast as a feature's weight does, of which an answer has a hundred


@dataclass(frozen=True)
class Chain:
    """Scores of sequences: the sum of each part's own number for its tag, and of the steps from tag to tag."""

    numbers: Tensor  # (batch, parts, width)
    steps: Tensor  # (width + 1, width + 1), from row to column; the last row begins a sequence, the last column ends it
    answered: Tensor  # (batch, parts) int64, below 0 on parts that the chain passes over

    @cached_property
    def order(self) -> Tensor:
        """(batch, links): where the parts stand that have an answer; shorter chains go on with parts that have none."""
        bare = self.answered < 0
        if torch.compiler.is_exporting():  # no shape may depend on a value
            places = torch.arange(bare.shape[1], device=bare.device)
            # no two alike, since files know no stable sorting
            return torch.where(bare, places + bare.shape[1], places).argsort(dim=1)
        longest = max(int((~bare).sum(1).max()), 1)
        return bare.int().argsort(dim=1, stable=True)[:, :longest]

    @cached_property
    def inside(self) -> Tensor:
        """(batch, links) bool: which of them are links of the chain."""
        return self.answered.gather(1, self.order) >= 0

    @cached_property
    def links(self) -> Tensor:
        """(batch, links, width) float32"""
        width = self.numbers.shape[2]
        return self.numbers.float().gather(1, self.order[..., None].expand(-1, -1, width))

    def marginals(self) -> Tensor:
        """(batch, parts, width): the logarithm of each tag's probability among all sequences of tags."""
        forward, backward = self._forward(), self._backward()
        total = self._total(forward)
        found = forward + backward - total[:, None, None]
        alone = self.numbers.float().log_softmax(-1)
        place = self.order[..., None].expand_as(found)
        return alone.scatter(1, place, torch.where(self.inside[..., None], found, alone.gather(1, place)))

    def likelihood(self, tags: Tensor) -> Tensor:
        """tags (batch, parts) int64 -> (batch,): the logarithm of the probability of each example's tags together."""
        given = tags.gather(1, self.order).clamp(min=0)  # (batch, links)
        steps, last = self.steps.float(), self.steps.shape[0] - 1
        own = self.links.gather(2, given[..., None])[..., 0]
        score = (own * self.inside).sum(1) + steps[last, given[:, 0]]
        score = score + (steps[given[:, :-1], given[:, 1:]] * self.inside[:, 1:]).sum(1)
        ends = given.gather(1, (self.inside.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        found = score + steps[ends, last] - self._total(self._forward())
        return torch.where(self.inside[:, 0], found, 0.0)

    def _forward(self) -> Tensor:
        """Of each link all that leads up to it with each of its tags, itself included: (batch, links, width)."""
        between = self.steps[:-1, :-1].float()

        def step(before: Tensor, link: Tensor, inside: Tensor) -> Tensor:
            further = (before[:, :, None] + between).logsumexp(1) + link
            return torch.where(inside[:, None], further, before)

        first = self.steps[-1, :-1].float() + self.links[:, 0]
        return _along(step, first, self.links[:, 1:], self.inside[:, 1:])

    def _backward(self) -> Tensor:
        """Of each link all that follows on each of its tags: (batch, links, width)."""
        # two copies: a loop that is exported may not be given one tensor twice
        between, end = self.steps[:-1, :-1].float().clone(), self.steps[:-1, -1].float().clone()

        def step(behind: Tensor, link: Tensor, inside: Tensor) -> Tensor:
            further = (between + (link + behind)[:, None]).logsumexp(2)
            return torch.where(inside[:, None], further, end)

        last = end.expand(self.links.shape[0], -1)
        return _along(step, last, self.links[:, 1:].flip(1), self.inside[:, 1:].flip(1)).flip(1)

    def _total(self, forward: Tensor) -> Tensor:
        """(batch,): of all sequences."""
        return (forward[:, -1] + self.steps[:-1, -1].float()).logsumexp(1)


def _along(step: Callable[..., Tensor], first: Tensor, links: Tensor, inside: Tensor) -> Tensor:
    """(batch, width) and what `step` makes of it link after link: (batch, 1 + links, width)."""
    if torch.compiler.is_exporting():  # a loop of any length, which a file can hold
        from torch._higher_order_ops import scan

        def looped(before: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            found = step(before, *now)
            return found, found.clone()

        # one more behind the last, since no loop that runs never is known
        given = F.pad(links, (0, 0, 0, 1)).transpose(0, 1), F.pad(inside, (0, 1)).transpose(0, 1)
        _, rest = scan(looped, first.clone(memory_format=torch.contiguous_format), given)
        return torch.cat((first[:, None], rest[:-1].transpose(0, 1)), 1)
    found = [first]
    for place in range(links.shape[1]):
        found.append(step(found[-1], links[:, place], inside[:, place]))
    return torch.stack(found, 1)


def best_path(chain: Chain) -> Tensor:
    """(batch, parts) int64: the likeliest sequence of tags (Viterbi); -1 on parts that the chain passes over."""
    between = chain.steps[:-1, :-1].float()
    best = chain.steps[-1, :-1].float() + chain.links[:, 0]  # (batch, width)
    stays = torch.arange(best.shape[1], device=best.device).expand_as(best)
    came: list[Tensor] = []
    for link in range(1, chain.links.shape[1]):
        further, before = (best[:, :, None] + between).max(1)
        inside = chain.inside[:, link, None]
        best = torch.where(inside, further + chain.links[:, link], best)
        came.append(torch.where(inside, before, stays))
    tag = (best + chain.steps[:-1, -1].float()).argmax(1, keepdim=True)  # (batch, 1)
    path = [tag]
    for before in reversed(came):
        tag = before.gather(1, tag)
        path.append(tag)
    found = torch.cat(path[::-1], 1)  # (batch, links)
    nothing = torch.full_like(chain.answered, -1)
    return nothing.scatter(1, chain.order, found.masked_fill(~chain.inside, -1))
