"""Texts in a batch of which it is known where each word begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.modalities.text.batch import TextInput, TextSpec


@dataclass(frozen=True, kw_only=True)
class WordsSpec(TextSpec):
    # closed up, a text would have its words at other places than those that answers are given for
    removals: ClassVar[tuple[str, ...]] = ("mask",)
    moving: ClassVar[tuple[str, ...]] = ()

    modality: str = "words"


@dataclass(frozen=True, kw_only=True)
class WordsInput(TextInput):
    # (batch, length) int64: the number of the word in its text that each token belongs to; -1 for special tokens
    words: Tensor

    def varying(self) -> Mapping[str, tuple[int, ...]]:
        return {**super().varying(), "words": (1,)}

    @property
    def company(self) -> int:  # type: ignore[override]
        return 0  # words that are answered for stay at their places

    def answered(self) -> Tensor:
        """A word's number at its first token, or at the first one that was not cut away; -1 elsewhere."""
        before = F.pad(self.words[:, :-1], (1, 0), value=-1)
        return torch.where(self.words != before, self.words, -1)

    def on_parts(self, values: Tensor) -> Tensor:
        """A value a word, (batch, words) and -1 behind the last, as a value a part: (batch, length), -1 for none."""
        at = self.answered()
        found = values.gather(1, at.clamp(min=0, max=values.shape[1] - 1))
        return torch.where((at >= 0) & (at < values.shape[1]), found, -1)
