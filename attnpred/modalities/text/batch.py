"""Texts in a batch, and what a model must know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Grid, Input, InputSpec, later, numbered

CLOSING = ".!?…。！？"


@dataclass(frozen=True, kw_only=True)
class TextSpec(InputSpec):
    removals: ClassVar[tuple[str, ...]] = ("mask", "delete")
    moving: ClassVar[tuple[str, ...]] = ("delete",)

    modality: str = "text"
    vocab_size: int
    max_length: int  # longest sequence, special tokens included
    pad_id: int
    mask_id: int  # stands for a token that is taken away
    prefix: tuple[int, ...] = ()  # ids of the special tokens before every text
    suffix: tuple[int, ...] = ()
    names: tuple[str, ...] = later(())  # of texts that are read together, as one sequence; none where it is one text
    between: tuple[int, ...] = later(())  # ids of the special tokens between two such texts
    # tokens' letters by their numbers; the tokenizer knows them, so that they are neither saved nor compared
    spelled: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)

    def check(self) -> None:
        special = (self.pad_id, self.mask_id, *self.prefix, *self.suffix, *self.between)
        if not all(0 <= one < self.vocab_size for one in special):
            raise ValueError("a special token lies outside of the vocabulary")
        if len(self.names) == 1 or len(set(self.names)) < len(self.names):
            raise ValueError("texts that are read together need two names or more, each another")
        if self.room < max(len(self.names), 1):
            raise ValueError("max_length leaves no room beside the special tokens")

    @property
    def room(self) -> int:
        """Most tokens of its own that a sequence has."""
        return self.max_length - self.special

    @property
    def special(self) -> int:
        """Special tokens in every sequence."""
        return len(self.prefix) + len(self.suffix) + max(len(self.names) - 1, 0) * len(self.between)


@dataclass(frozen=True, kw_only=True)
class TextInput(Input):
    """Token ids, padded at the end to the batch's own longest. Several texts may follow one another in a sequence."""

    tokens: Tensor  # (batch, length) int64
    lengths: Tensor  # (batch,) int64: tokens that are not padding
    padded: bool  # known on the host, so that no mask is made, and no device asked, where there is no padding
    prefix: int = 0  # special tokens that the tokenizer put before every text
    suffix: int = 0  # and behind it
    # (batch, length) int64: of several texts, which each token belongs to; -1 for special tokens and padding
    segments: Tensor | None = None
    hidden: Tensor | None = None  # (batch, length) bool: tokens that were taken out of sight, to be found

    def __len__(self) -> int:
        return len(self.tokens)

    def valid(self) -> Tensor | None:
        """Which positions hold a token, (batch, length) bool; None where all do."""
        if not self.padded:
            return None
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    @property
    def company(self) -> int:  # type: ignore[override]
        return 0 if self.segments is not None else 1

    def own(self) -> Tensor | None:
        """Which positions hold the text's own tokens, (batch, length) bool; None where all do.

        A text of special tokens alone keeps them, since every example must have something to attend to.
        """
        if self.segments is not None:
            return self.segments >= 0
        if not self.prefix and not self.suffix:
            return self.valid()
        place = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        empty = (self.lengths <= self.prefix + self.suffix)[:, None]
        inside = (place >= self.prefix) & (place < self.lengths[:, None] - self.suffix)
        return inside | (empty & (place < self.lengths[:, None]))

    def types(self) -> Tensor | None:
        """Token types, (batch, length) int64: special tokens count to the text before them. None for a single text."""
        if self.segments is None:
            return None
        if not torch.compiler.is_exporting():
            return self.segments.cummax(1).values.clamp(min=0)
        # the same by what the files of an export know
        place = torch.arange(self.segments.shape[1], device=self.segments.device)
        return torch.where(place[:, None] >= place, self.segments[:, None], 0).amax(2).clamp(min=0)

    def answered(self) -> Tensor | None:
        return None if self.hidden is None else numbered(self.hidden)

    def varying(self) -> Mapping[str, tuple[int, ...]]:
        return {"tokens": (1,), "segments": (1,), "hidden": (1,)}

    def parts(self, grid: Grid) -> int:
        return self.tokens.shape[1]

    def evidence_on(self, grid: Grid) -> Tensor | None:
        return self.evidence

    def described(self) -> str:
        return f"{len(self)} texts of up to {self.tokens.shape[1]} tokens"

    def passages(self, spec: TextSpec) -> Tensor:
        """Sentences: one ends with the last of its closing marks."""
        closing = [number for number, letters in spec.spelled.items() if letters and not letters.strip(CLOSING)]
        ends = torch.isin(self.tokens, torch.tensor(closing, dtype=torch.int64, device=self.tokens.device))
        begins = F.pad(ends[:, :-1], (1, 0)) & ~ends
        return begins.cumsum(1)

    def among(self, others: Sequence[Self], turns: Tensor, spec: TextSpec) -> Self:
        """Two texts one behind the other, each cut to half of the room."""
        [other] = others
        rows = [_joined(self, other, row, int(turn) % 2, spec) for row, turn in enumerate(turns)]
        lengths = torch.tensor([len(tokens) for tokens, _ in rows], device=self.tokens.device)
        tokens = torch.full((len(rows), int(lengths.max())), spec.pad_id, device=self.tokens.device)
        evidence = torch.zeros_like(tokens, dtype=torch.bool)
        for row, (found, marks) in enumerate(rows):
            tokens[row, : len(found)], evidence[row, : len(found)] = found, marks
        return replace(self, tokens=tokens, lengths=lengths, padded=True, evidence=evidence)

    def trimmed(self) -> Self:
        longest = int(self.lengths.max())
        return self._changed(lambda value: value if value.ndim == 1 else value[:, :longest]) if self.padded else self

    def tokens_read(self) -> Tensor:
        return self.lengths.sum()

    def statistics(self, reader: Any) -> dict[str, Tensor]:
        """How long a text is, how much of it the vocabulary lacks, and in how small pieces its words are cut."""
        own = self.own()
        mask = torch.ones_like(self.tokens, dtype=torch.bool) if own is None else own
        count = mask.sum(1).clamp(min=1).float()
        unknown = ((self.tokens == reader.vocabulary.unknown_id) & mask).sum(1) / count
        letters = torch.from_numpy(reader.vocabulary.letters).to(mask.device)
        pieces = letters[self.tokens.clamp(max=len(letters) - 1)] * mask
        return {
            "length": mask.sum(1).float(),
            "unknown words": unknown,
            "letters a token": pieces.sum(1) / count,
        }

    def without(self, gone: Tensor, how: str, spec: TextSpec, grid: Grid) -> Self:
        """`mask` puts mask tokens; `delete` closes the text up."""
        own = self.own()
        gone = gone if own is None else gone & own
        if how == "delete":
            return self._closed_up(gone, spec)
        return replace(self, tokens=self.tokens.masked_fill(gone, spec.mask_id))

    def _closed_up(self, gone: Tensor, spec: TextSpec) -> Self:
        """The text without those tokens; one that would be left with none of its own keeps a mask token."""
        own = self.own()
        kept = ~gone if own is None else own & ~gone
        bare = ~kept.any(1)
        first = F.one_hot(gone.int().argmax(1), gone.shape[1]).bool() & bare[:, None]
        tokens, gone = self.tokens.masked_fill(first, spec.mask_id), gone & ~first
        order = gone.int().argsort(dim=1, stable=True)  # what stays first, in its order
        lengths = self.lengths - gone.sum(1)
        inside = torch.arange(gone.shape[1], device=gone.device) < lengths[:, None]
        tokens = torch.where(inside, tokens.gather(1, order), spec.pad_id)
        segments = None if self.segments is None else torch.where(inside, self.segments.gather(1, order), -1)
        return replace(self, tokens=tokens, lengths=lengths, padded=True, segments=segments)


def _joined(one: TextInput, other: TextInput, row: int, turn: int, spec: TextSpec) -> tuple[Tensor, Tensor]:
    """The tokens of two texts, the first of which stands first or second, and which are the first's: (length,) each."""
    room = spec.room // 2
    texts = []
    for text in (one, other):
        own = text.own()
        tokens = text.tokens[row] if own is None else text.tokens[row][own[row]]
        texts.append(tokens[:room])
    marks = [torch.full_like(tokens, not number, dtype=torch.bool) for number, tokens in enumerate(texts)]
    if turn:
        texts, marks = texts[::-1], marks[::-1]
    around = [one.tokens.new_tensor(ids) for ids in (spec.prefix, spec.suffix)]
    nothing = [torch.zeros_like(ids, dtype=torch.bool) for ids in around]
    return torch.cat([around[0], *texts, around[1]]), torch.cat([nothing[0], *marks, nothing[1]])
