"""A text a row as the answer, such as a translation: kept as it is, and read as tokens of a vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import Generation, TargetSpec
from attnpred.data.targets import Collector, Stored, Target
from attnpred.errors import UserError
from attnpred.modalities.text.tokenizer_check import check as check_tokenizer
from attnpred.modalities.text.tokens import Vocabulary, clean

NONE = -1  # behind a row's last token, and where a row has no text


@dataclass(frozen=True, kw_only=True)
class Sentences(TargetSpec):
    """The vocabulary of answers that are texts, and how long these may be."""

    tokenizer: str = field(repr=False)  # as its file's text
    vocab_size: int
    unknown_id: int
    begin_id: int  # stands before the first token
    end_id: int  # is the last
    prefix: tuple[int, ...] = ()  # special tokens before every answer, of checkpoints that have some
    max_length: int  # tokens, special ones included
    shared: bool  # whether the input's tokens are of the same vocabulary

    def check(self) -> None:
        special = (self.unknown_id, self.begin_id, self.end_id, *self.prefix)
        if not all(0 <= one < self.vocab_size for one in special):
            raise ValueError("a special token of its target lies outside of the vocabulary")
        if self.max_length < len(self.prefix) + 2:
            raise ValueError("its target's max_length leaves no room beside the special tokens")
        check_tokenizer(self.tokenizer, "the target's tokenizer")
        if self.vocabulary.size > self.vocab_size:
            raise ValueError("its target's tokenizer has more entries than the model")

    @property
    def generation(self) -> Generation:
        return Generation(self.begin_id, self.end_id, self.max_length, self.shared)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer, pad_id=self.end_id, unknown_id=self.unknown_id)

    @cached_property
    def _special(self) -> set[int]:
        return {self.begin_id, self.end_id, *self.prefix}

    def plain(self, tokens: Sequence[int]) -> list[int]:
        """The tokens of the text itself: without special ones, and without what is behind the end."""
        found = list(tokens)
        found = found[: found.index(self.end_id)] if self.end_id in found else found
        return [token for token in found if token >= 0 and token not in self._special]

    def text(self, tokens: Sequence[int]) -> str:
        """The text that tokens stand for."""
        said: str = self.vocabulary.tokenizer.decode(self.plain(tokens), skip_special_tokens=True)
        return said.strip()

    def spelt(self, token: int) -> str:
        """One token, for people: a space where a word begins is left out."""
        written = self.vocabulary.tokenizer.id_to_token(token)
        said = self.vocabulary.tokenizer.decode([token], skip_special_tokens=False).strip()
        return said or written or str(token)


class TextCollector(Collector):
    """Texts one behind the other, as UTF-8; a missing one is None, or no row that is usable."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._bounds: list[tuple[int, int]] = []
        self._content = bytearray()

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        (values,) = columns
        for row, text in enumerate(values):
            start = len(self._content)
            if text is not None and not isinstance(text, str):
                raise UserError(f"{self._place}: holds {type(text).__name__} values; choose a column of texts")
            if text is None or not text.strip() or not (usable is None or usable[row]):
                self._bounds.append((NONE, NONE))
                continue
            self._content += clean(text, False).encode()
            self._bounds.append((start, len(self._content)))

    def finish(self) -> Stored:
        bounds = np.array(self._bounds, np.int64).reshape(-1, 2)
        return Stored(bounds, {}, np.frombuffer(bytes(self._content), np.uint8))


class TextTarget(Target[Sentences]):
    """A text a row. Its tokens come with the inputs', since they need a vocabulary."""

    kind = "text-1"

    def collector(self, names: Sequence[list[str] | None]) -> TextCollector:
        if len(self.columns) != 1:
            raise UserError(f"{self.place}: the answer is in one column of texts; name one")
        return TextCollector(self.place)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        good: NDArray[np.bool_] = stored.values[:, 0] != NONE
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        return "has no text on its target's side"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> Sentences:
        raise UserError(f"{self.place}: this dataset makes no vocabulary of its target; use data=translation")

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: Sentences, place: str) -> NDArray[Any]:
        """Where each text begins and ends in the content."""
        values: NDArray[Any] = stored.values[rows]
        return values

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        """Nothing: what the texts are is in the store, of which `texts_of` knows."""
        return {}

    def shown(self, stored: Stored, row: int) -> str:
        start, end = stored.values[row].tolist()
        return "" if start == NONE or stored.content is None else bytes(stored.content[start:end]).decode()

    def check_varied(self, values: NDArray[Any], spec: Sentences, place: str) -> None:
        """Texts may all be alike in length; whether they are in words is not asked."""


def texts_of(stored: Stored, bounds: NDArray[Any]) -> Tensor:
    """The texts between `bounds`, (batch, 2), as UTF-8: (batch, bytes) uint8, 0 behind the last."""
    assert stored.content is not None
    lengths = bounds[:, 1] - bounds[:, 0]
    found = np.zeros((len(bounds), max(int(lengths.max(initial=0)), 1)), np.uint8)
    for row, (start, end) in enumerate(bounds):
        found[row, : end - start] = stored.content[start:end]
    return torch.from_numpy(found)


def read_texts(content: Tensor) -> list[str]:
    """What `texts_of` made, as texts again."""
    return [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in content.cpu().numpy()]


def padded_tokens(rows: Sequence[NDArray[Any]], spec: Sentences) -> Tensor:
    """The answers' tokens, with the end: (batch, steps) int64, -1 behind the last. Longer ones are cut, and end not."""
    prefix, special = list(spec.prefix), np.array(sorted(spec._special))
    made = []
    for row in rows:
        own = row[~np.isin(row, special)].astype(np.int64)  # a text may spell a special token
        made.append(np.concatenate((prefix, own, [spec.end_id]))[: spec.max_length].astype(np.int64))
    tokens = np.full((len(made), max(map(len, made))), NONE, np.int64)
    for place, own in enumerate(made):
        tokens[place, : len(own)] = own
    return torch.from_numpy(tokens)
