"""Tokens that are taken out of sight, to be found again: which, and what stands in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnpred.contracts import Batch, InputSpec, TargetSpec
from attnpred.data.hashing import draws_of
from attnpred.data.itself_target import ItselfTarget
from attnpred.modalities.text.batch import TextInput, TextSpec

TOKENS = "tokens"  # the target: the batch's own tokens, (batch, length)
INSIDE = "##"  # before a piece of WordPiece that goes on with a word
END = "</w>"  # behind a piece of BPE that ends one
BEFORE = ("Ġ", "▁")  # before a piece that begins one, of tokenizers that keep spaces


@dataclass(frozen=True, kw_only=True)
class HiddenTokens(TargetSpec):
    """The vocabulary whose tokens are to be found."""

    names: tuple[str, ...]  # of all tokens, by their numbers; empty for special ones, which are never hidden
    mask_id: int  # what stands for a hidden token

    def check(self) -> None:
        if not any(self.names):
            raise ValueError("there is no token to find")
        if not 0 <= self.mask_id < len(self.names):
            raise ValueError("the token for hidden ones lies outside of the vocabulary")


class Words:
    """Which tokens belong to one word, by how the tokenizer writes them."""

    def __init__(self, names: Sequence[str]) -> None:
        ends = any(name.endswith(END) for name in names)
        before = next((mark for mark in BEFORE if any(name.startswith(mark) for name in names)), None)
        self.known = ends or before is not None or any(name.startswith(INSIDE) for name in names)
        self._inside = torch.tensor([bool(name) and _inside(name, before) for name in names])
        self._ends = torch.tensor([not ends or not name or name.endswith(END) for name in names])

    def first(self, tokens: Tensor) -> Tensor:
        """(batch, length) -> the same: the place of the first token of the word that each belongs to."""
        inside, ends = (one.to(tokens.device)[tokens] for one in (self._inside, self._ends))
        begins = ~inside
        begins[:, 1:] &= ends[:, :-1]
        begins[:, 0] = True
        place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        return torch.where(begins, place, 0).cummax(1).values


def _inside(name: str, before: str | None) -> bool:
    """True of a token that goes on with a word, as far as its own spelling tells."""
    if before is None:
        return name.startswith(INSIDE)
    return not name.startswith(before) and name[0].isalnum()


class Hiding:
    """Takes whole words, or single tokens, of texts out of sight."""

    def __init__(self, spec: HiddenTokens, *, whole_words: bool) -> None:
        self.spec, self.whole_words = spec, whole_words
        self.words = Words(spec.names)
        fixed = [not name for name in spec.names]
        fixed[spec.mask_id] = True
        self._fixed = torch.tensor(fixed)
        self._findable = (~self._fixed).nonzero()[:, 0]

    def choose(self, texts: TextInput, share: float, draws: Tensor) -> Tensor:
        """Which tokens are hidden, (batch, length) bool, by `draws` of the same shape, each within 0 and 1.

        Those of a word go together. Of every text that has a token to hide, one word is hidden at least.
        """
        there = self._hideable(texts)
        if self.whole_words:
            draws = draws.gather(1, self.words.first(texts.tokens))
        draws = draws.masked_fill(~there, torch.inf)
        return (draws <= draws.amin(1, keepdim=True).clamp(min=share)) & there

    def _hideable(self, texts: TextInput) -> Tensor:
        own, fixed = texts.own(), self._fixed.to(texts.tokens.device)[texts.tokens]
        there = ~fixed if own is None else own & ~fixed
        # of a text of unknown words alone the first one is to be found: every example must ask for something
        bare = ~there.any(1)
        first = torch.zeros_like(there).index_fill(1, torch.tensor([texts.prefix], device=there.device), True)
        return there | (first & bare[:, None])

    def __call__(self, batch: Batch, hidden: Tensor, *, seen: Tensor | None = None) -> Batch:
        """The batch with these tokens hidden, and what they were as its target. `seen` is shown in place of them."""
        texts: TextInput = batch.input
        tokens = texts.tokens.masked_fill(hidden, self.spec.mask_id) if seen is None else seen
        shown = batch.reading(replace(texts, tokens=tokens, hidden=hidden))
        return replace(shown, targets={**batch.targets, TOKENS: texts.tokens})

    def disguised(self, texts: TextInput, hidden: Tensor, draws: Tensor, replaced: float, kept: float) -> Tensor:
        """Tokens to be shown, (batch, length): of the hidden ones some stay, and some are exchanged for any other."""
        tokens = texts.tokens.masked_fill(hidden & (draws >= kept), self.spec.mask_id)
        if not replaced:
            return tokens
        findable = self._findable.to(tokens.device)
        others = findable[torch.randint(len(findable), tokens.shape, device=tokens.device)]
        return torch.where(hidden & (draws >= kept) & (draws < kept + replaced), others, tokens)


class HiddenTokensTarget(ItselfTarget[HiddenTokens]):
    """Tokens of the text itself."""

    def __init__(self, columns: Sequence[str], option: str, *, share: float, whole_words: bool, packs: bool) -> None:
        super().__init__(columns, option)
        self.share, self.whole_words, self.packs = share, whole_words, packs
        self._last: Hiding | None = None

    def of_inputs(self, specs: Mapping[str, InputSpec]) -> HiddenTokens:
        (spec,) = specs.values()
        assert isinstance(spec, TextSpec)
        names = tuple(spec.spelled.get(number, "") for number in range(spec.vocab_size))
        return HiddenTokens(names=names, mask_id=spec.mask_id)

    def posed(self, batch: Batch, spec: HiddenTokens) -> Batch:
        hiding = self._hiding(spec)
        texts: TextInput = batch.input
        return hiding(batch, hiding.choose(texts, self.share, draws_of(batch.ids, texts.tokens.shape[1])))

    def _hiding(self, spec: HiddenTokens) -> Hiding:
        if self._last is None or self._last.spec is not spec:
            self._last = Hiding(spec, whole_words=self.whole_words)
        return self._last
