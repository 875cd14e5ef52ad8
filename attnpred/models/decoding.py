"""Generating sequences token by token: the likeliest at each step, beams, or drawn at random.

All sentences of a batch go on together. A row that has ended leaves, so that a long one waits for none and costs only
itself. No row sees another: a sentence alone gets the answer that it gets in a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Generation

PIECE = 64  # of a vocabulary, that is looked through as one
ROWS = 64  # looked through at once
LEAST_STEPS, STEPS_A_TOKEN = 10, 3  # an answer has at most so many tokens, and so many more for each of the source's


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen: by beams where there are several, at random where asked, else the likeliest."""

    beam: int = 1
    length_penalty: float = 1.0  # a hypothesis' score is divided by its length to this power
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None  # draw among so many of the likeliest
    top_p: float = 1.0  # draw among the likeliest that together have this probability
    best: int = 1  # hypotheses that are given


GREEDY = Decoding()


class Steps(Protocol):
    """A model at work on some hypotheses, as many a sentence: it holds what was worked out of the tokens so far."""

    def step(self, tokens: Tensor) -> Tensor:
        """The next token of each, (rows,) -> the logits of the one after it, (rows, vocabulary)."""

    def keep(self, rows: Tensor, sentences: Tensor | None) -> None:
        """Goes on with these rows. `sentences` are those that stay, by their numbers; None where all do."""


@dataclass(frozen=True)
class Hypotheses:
    """The best of each sentence come first."""

    tokens: Tensor  # (batch, hypotheses, steps) int64: the end included, -1 behind the last
    scores: Tensor  # (batch, hypotheses) float32: logarithms of their probabilities, by length as asked


def most_steps(lengths: Tensor, generation: Generation) -> Tensor:
    """Tokens that each answer has at most, from what its source has, (batch,): not what others of the batch have."""
    return (LEAST_STEPS + STEPS_A_TOKEN * lengths).clamp(max=generation.longest)


@torch.no_grad()
def decode(
    begin: Callable[[int], Steps], most: Tensor, generation: Generation, decoding: Decoding = GREEDY
) -> Hypotheses:
    """`begin` starts the model on a batch with so many hypotheses a sentence; `most` is of `most_steps`."""
    if decoding.sample:
        return _best_of(_sampled(begin(decoding.best), most, generation, decoding), decoding, len(most))
    if decoding.beam == 1:
        return _best_of(_one_by_one(begin(1), most, generation, _likeliest), decoding, len(most))
    return _Beams(begin(decoding.beam), most, generation, decoding).run()


def likeliest(logits: Tensor, few: int) -> tuple[Tensor, Tensor]:
    """As `topk` of the last dimension: the few largest lie in the few pieces whose own largest are largest."""
    whole = logits.shape[-1] // PIECE
    if whole <= few:
        return logits.topk(few, dim=-1)
    pieces = logits[..., : whole * PIECE].unflatten(-1, (whole, PIECE))
    which = pieces.amax(-1).topk(few, dim=-1).indices  # (…, few)
    candidates = pieces.gather(-2, which[..., None].expand(*which.shape, PIECE)).flatten(-2)
    rest = logits[..., whole * PIECE :]
    values, place = torch.cat((candidates, rest), -1).topk(few, dim=-1)
    inside = which.gather(-1, (place // PIECE).clamp(max=few - 1)) * PIECE + place % PIECE
    behind = place - few * PIECE + whole * PIECE  # in what is left after the last piece
    return values, torch.where(place < few * PIECE, inside, behind)


def chances_of_likeliest(logits: Tensor, few: int) -> tuple[Tensor, Tensor]:
    """Of each row of (rows, vocabulary) the likeliest tokens, and the logarithms of their probabilities: (rows, few).

    Rows go in small parts, which stay in a processor's cache while they are looked through several times.
    """
    found = []
    for part in logits.split(ROWS):
        wide = part.float()
        values, tokens = likeliest(wide, few)
        largest = values[:, :1]
        found.append((values - largest - (wide - largest).exp_().sum(1, keepdim=True).log(), tokens))
    return torch.cat([chances for chances, _ in found]), torch.cat([tokens for _, tokens in found])


Choose = Callable[[Tensor], Tensor]  # logits (rows, vocabulary) -> tokens (rows,)


def _likeliest(logits: Tensor) -> Tensor:
    return logits.argmax(-1)


def _sampled(steps: Steps, most: Tensor, generation: Generation, decoding: Decoding) -> tuple[Tensor, Tensor]:
    def draw(logits: Tensor) -> Tensor:
        chances = truncated(logits.float() / decoding.temperature, decoding.top_k, decoding.top_p).softmax(-1)
        return torch.multinomial(chances, 1)[:, 0]

    return _one_by_one(steps, most.repeat_interleave(decoding.best), generation, draw, decoding.best)


def truncated(logits: Tensor, top_k: int | None, top_p: float) -> Tensor:
    """(rows, vocabulary) -> the same, without hope for all but the likeliest tokens."""
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        ranked, order = logits.sort(dim=1, descending=True)
        chances = ranked.softmax(1)
        beyond = chances.cumsum(1) - chances >= top_p  # the likeliest always stays
        logits = logits.masked_fill(beyond.gather(1, order.argsort(1)), -torch.inf)
    return logits


def _one_by_one(
    steps: Steps, most: Tensor, generation: Generation, choose: Choose, each: int = 1
) -> tuple[Tensor, Tensor]:
    """Every row by itself, `each` of a sentence: tokens (rows, steps), and the sums of their logarithms (rows,)."""
    rows = torch.arange(len(most), device=most.device)
    longest = int(most.max())
    tokens = torch.full((len(most), longest), -1, device=most.device)
    sums = torch.zeros(len(most), device=most.device)
    latest, going = torch.full_like(rows, generation.begin), torch.ones_like(rows, dtype=torch.bool)
    for step in range(longest):
        logits = steps.step(latest).float()
        latest = choose(logits)
        tokens[rows, step] = latest.masked_fill(~going, -1)
        sums[rows] += logits.log_softmax(-1).gather(1, latest[:, None])[:, 0] * going
        going = going & (latest != generation.end) & (step + 1 < most[rows])
        # a sentence stays until all of its rows have ended
        stays = going.view(-1, each).any(1).repeat_interleave(each).nonzero()[:, 0]
        if not len(stays):
            break
        if len(stays) < len(rows):
            steps.keep(stays, stays[::each] // each)
            rows, latest, going = rows[stays], latest[stays], going[stays]
    return tokens[:, : step + 1], sums


def _best_of(found: tuple[Tensor, Tensor], decoding: Decoding, sentences: int) -> Hypotheses:
    tokens, sums = found
    lengths = (tokens >= 0).sum(1)
    scores = (sums / lengths.float() ** decoding.length_penalty).view(sentences, -1)
    order = scores.argsort(dim=1, descending=True, stable=True)
    ranked = tokens.view(sentences, -1, tokens.shape[1]).gather(1, order[..., None].expand(-1, -1, tokens.shape[1]))
    return Hypotheses(ranked, scores.gather(1, order))


class _Beams:
    """The likeliest unfinished hypotheses of each sentence, and the best of those that ended."""

    def __init__(self, steps: Steps, most: Tensor, generation: Generation, decoding: Decoding) -> None:
        self.steps, self.most, self.generation, self.decoding = steps, most, generation, decoding
        sentences, beam, longest = len(most), decoding.beam, int(most.max())
        device = most.device
        self.active = torch.arange(sentences, device=device)
        self.tokens = torch.full((sentences, beam, longest), -1, device=device)  # of active sentences
        self.sums = torch.full((sentences, beam), -torch.inf, device=device)  # likewise
        self.sums[:, 0] = 0.0  # all are alike at first
        self.done = torch.full((sentences, beam, longest), -1, device=device)
        self.scores = torch.full((sentences, beam), -torch.inf, device=device)

    def run(self) -> Hypotheses:
        latest = torch.full((self.sums.numel(),), self.generation.begin, device=self.most.device)
        for step in range(int(self.most.max())):
            latest = self._advance(self.steps.step(latest), step)
            if not len(self.active):
                break
        best = self.decoding.best
        longest = int((self.done >= 0).sum(2).max())
        return Hypotheses(self.done[:, :best, :longest], self.scores[:, :best])

    def _advance(self, logits: Tensor, step: int) -> Tensor:
        """Takes in a step's logits, (sentences x beam, vocabulary); returns the tokens that were chosen."""
        sentences, beam = self.sums.shape
        end = self.generation.end
        # twice as many as beams: though each may end in one way, as many as there are beams go on
        few = min(2 * beam, logits.shape[1])
        chances, tokens = chances_of_likeliest(logits, few)  # of each beam alone, (sentences x beam, few)
        every = self.sums[..., None] + chances.view(sentences, beam, few)
        sums, flat = every.flatten(1).topk(min(2 * beam, beam * few), dim=1)
        parent, token = flat // few, tokens.view(sentences, -1).gather(1, flat)  # (sentences, 2 beams)
        ends = token == end
        last = (step + 1 >= self.most[self.active])[:, None]  # no longer answer may be
        self._finish(sums[:, :beam], parent[:, :beam], token[:, :beam], (ends | last)[:, :beam], step)
        # the best that do not end, in their order
        order = ends.int().argsort(dim=1, stable=True)[:, :beam]
        self.sums = sums.gather(1, order).masked_fill(ends.gather(1, order), -torch.inf)
        parent, token = parent.gather(1, order), token.gather(1, order)
        self.tokens = self.tokens.gather(1, parent[..., None].expand(-1, -1, self.tokens.shape[2]))
        self.tokens[:, :, step] = token
        # as many ended as there are beams: none that goes on is waited for
        going = (self.scores[self.active].isinf().any(1) & ~last[:, 0]).nonzero()[:, 0]
        rows = (going[:, None] * beam + parent[going]).flatten()
        everyone = len(going) == sentences
        self.steps.keep(rows, None if everyone else going)
        if not everyone:
            self.active, self.sums, self.tokens = self.active[going], self.sums[going], self.tokens[going]
        return token[going].flatten()

    def _finish(self, sums: Tensor, parent: Tensor, token: Tensor, ends: Tensor, step: int) -> None:
        """Keeps the candidates, (sentences, beam), that end here, where they are among the best."""
        if not ends.any():
            return
        beam = sums.shape[1]
        scores = (sums / (step + 1) ** self.decoding.length_penalty).masked_fill(~ends, -torch.inf)
        written = self.tokens.gather(1, parent[..., None].expand(-1, -1, self.tokens.shape[2])).clone()
        written[:, :, step] = token
        every = torch.cat((self.scores[self.active], scores), dim=1)
        best, order = every.topk(beam, dim=1)
        pool = torch.cat((self.done[self.active], written), dim=1)
        self.scores[self.active] = best
        self.done[self.active] = pool.gather(1, order[..., None].expand(-1, -1, pool.shape[2]))


def shifted(tokens: Tensor, generation: Generation) -> Tensor:
    """What the decoder reads to say `tokens`, (batch, steps) with -1 behind the last: each one's predecessor."""
    return F.pad(tokens[:, :-1].clamp(min=0), (1, 0), value=generation.begin)
