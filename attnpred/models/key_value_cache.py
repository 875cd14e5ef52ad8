"""Keys and values of the tokens that were generated so far, so that each is worked out once and never copied.

A sentence may have several hypotheses that change places. Their keys stay where they were written, in one pool a
sentence; the lineage says which of them each hypothesis has behind it.
"""

import torch
from torch import Tensor

ROOM = 16  # tokens that a cache has room for at first
MOST_WANTED = 0.5  # share of a pool's tokens that some hypothesis has behind it, at which the others are let go


class Lineage:
    """Which tokens of its sentence's pool each hypothesis has behind it."""

    def __init__(self, each: int) -> None:
        self.each = each  # hypotheses a sentence
        self._behind: Tensor | None = None  # (sentences, hypotheses, pool) bool

    def step(self, sentences: int, device: torch.device) -> None:
        """Every hypothesis writes a token of its own."""
        if self.each > 1:
            own = torch.eye(self.each, dtype=torch.bool, device=device).expand(sentences, -1, -1)
            self._behind = own if self._behind is None else torch.cat((self._behind, own), 2)

    def follow(self, sentences: Tensor, parents: Tensor) -> None:
        """In these sentences each hypothesis goes on from another, its parent: (sentences, hypotheses)."""
        if self._behind is not None:
            found = self._behind[sentences]
            found = found.gather(1, parents[..., None].expand(-1, -1, found.shape[2]))
            self._behind = self._behind.index_copy(0, sentences, found)

    def keep(self, sentences: Tensor) -> None:
        self._behind = None if self._behind is None else self._behind[sentences]

    def forgotten(self) -> Tensor | None:
        """Where in each pool the tokens lie that somebody has behind it, (sentences, fewer); None while most are so."""
        if self._behind is None:
            return None
        wanted = self._behind.any(1)
        most = int(wanted.sum(1).max())
        if most > MOST_WANTED * wanted.shape[1]:
            return None
        places = wanted.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        self._behind = self._behind.gather(2, places[:, None].expand(-1, self.each, -1))
        return places

    def mask(self) -> Tensor | None:
        """The tokens of its pool that each may attend, (sentences, 1, hypotheses, pool); None where that is all."""
        return None if self._behind is None else self._behind[:, None]


class KeyValueCache:
    """Of one layer. Its room doubles when it is full, so that a step writes what is new and copies nothing."""

    def __init__(self, each: int) -> None:
        self.each = each
        self.length = 0
        self._held: Tensor | None = None  # (2, sentences, heads, room, head_dim)

    def by_sentence(self, x: Tensor) -> Tensor:
        """(rows, 1, heads, head_dim) -> (sentences, heads, hypotheses, head_dim)"""
        return x.unflatten(0, (-1, self.each))[:, :, 0].transpose(1, 2)

    def extended(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Takes in a token of each hypothesis, (sentences, heads, hypotheses, head_dim), and gives the pool."""
        start, self.length = self.length, self.length + key.shape[2]
        if self._held is None or self.length > self._held.shape[3]:
            room = max(ROOM * self.each, 2 * self.length)
            grown = key.new_empty(2, *key.shape[:2], room, key.shape[3])
            if self._held is not None:
                grown[:, :, :, :start] = self._held[:, :, :, :start]
            self._held = grown
        self._held[0, :, :, start : self.length] = key
        self._held[1, :, :, start : self.length] = value
        return self._held[0, :, :, : self.length], self._held[1, :, :, : self.length]

    def keep(self, sentences: Tensor) -> None:
        self._held = None if self._held is None else self._held[:, sentences]

    def forget(self, places: Tensor) -> None:
        """Holds what lies at these places of the pools alone, (sentences, fewer)."""
        assert self._held is not None
        self.length = places.shape[1]
        at = places[None, :, None, :, None].expand(*self._held.shape[:3], -1, self._held.shape[4])
        self._held = self._held.gather(3, at)
