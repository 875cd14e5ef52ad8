"""Texts in: batches of token ids. Attention on tokens out: attention on words."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Attention, TextBatch, TextSpec
from attnpred.data.batching import Integers, cut_by_tokens, padded, tokens_at_once
from attnpred.data.evidence import Marks
from attnpred.errors import UserError
from attnpred.modalities.reader import Reading, damaged, load_spec, save_spec
from attnpred.modalities.text.tokens import TOKENIZER_FILE, Vocabulary, clean

T = TypeVar("T")
BEYOND_SPACES = 0x3001  # no character from here on parts words
SPACE = np.array([*(chr(point).isspace() for point in range(BEYOND_SPACES)), False])
TRUNCATES = ("head", "tail", "both")
CHARACTERS = 64  # of new input are read for each token that may be kept
LARGEST_WINDOW = 16  # of texts that are sorted together, in sizes of the first


@dataclass(frozen=True)
class ReadText:
    text: str  # as the tokenizer gets it
    ids: Sequence[int]
    last: Integers  # of each token that is kept, where in the text its last character is


class TextReader:
    """Makes batches of texts, and words' attention of tokens'."""

    def __init__(self, spec: TextSpec, vocabulary: Vocabulary, *, strip_html: bool, truncate: str) -> None:
        self.spec = replace(spec, spelled=vocabulary.spelled)
        self.vocabulary = vocabulary
        self.strip_html, self.truncate = strip_html, truncate

    def save(self, directory: Path) -> None:
        (directory / TOKENIZER_FILE).write_text(self.vocabulary.tokenizer_json, encoding="utf-8")
        own = {"strip_html": self.strip_html, "truncate": self.truncate, "unknown_id": self.vocabulary.unknown_id}
        save_spec(directory, self.spec, **own)

    @classmethod
    def load(cls, directory: Path) -> "TextReader":
        spec, own = load_spec(directory)
        assert isinstance(spec, TextSpec)
        kinds = {"strip_html": bool, "truncate": str, "unknown_id": int}
        if {name: type(value) for name, value in own.items()} != kinds or own["truncate"] not in TRUNCATES:
            raise damaged(directory, "reader has other options")
        file = directory / TOKENIZER_FILE
        try:
            text = file.read_text(encoding="utf-8")
            vocabulary = Vocabulary(text, spec.pad_id, own.pop("unknown_id"), spec.prefix, spec.suffix)
            size = vocabulary.size
        except Exception as error:  # of no type of its own where the library cannot read it
            raise UserError(f"{file}: no tokenizer can be read from there ({error}); restore the file") from None
        if not 0 <= vocabulary.unknown_id < spec.vocab_size or size > spec.vocab_size:
            raise damaged(directory, f"its tokenizer has {size} entries, the model {spec.vocab_size}")
        return cls(spec, vocabulary, **own)

    def readings(self, inputs: Iterable[str], size: int) -> Iterator[Reading[TextBatch]]:
        """Batches of new texts, those of like length together; none needs more memory than `size` of the longest would.

        They are sorted among the first `size`, then among twice as many each time, so that the first ones wait little.
        """
        budget = tokens_at_once(size, self.spec.max_length)
        start = 0
        for given in _windows(map(self._shortened, inputs), size):
            read = self._read(given)
            lengths = self.lengths(np.array([len(r.ids) for r in read]))
            order = np.argsort(lengths, kind="stable")
            for begin, end in pairwise(cut_by_tokens(padded(lengths[order]), budget)):
                rows = order[begin:end]
                chosen = [read[row] for row in rows]
                batch = self.collate([r.ids for r in chosen], None, start + rows)
                yield Reading([given[row] for row in rows], batch, partial(self._explain, chosen))
            start += len(given)

    def collate(
        self,
        texts: Sequence[Sequence[int] | NDArray[Any]],
        labels: Integers | None,
        rows: Integers,
        evidence: Sequence[Marks] | None = None,
    ) -> TextBatch:
        """A batch of token ids that have neither special tokens nor been cut; `rows` become the batch's ids.

        `evidence` marks each text's tokens, those that will be cut too.
        """
        prefix, suffix = self.spec.prefix, self.spec.suffix
        lengths = self.lengths(np.array([len(t) for t in texts], np.int64))
        # no longer than what positions are known for
        longest = min(int(padded(lengths).max(initial=0)), self.spec.max_length)
        tokens = np.full((len(texts), longest), self.spec.pad_id, np.int64)
        for row, ids, length in zip(tokens, texts, lengths, strict=True):
            row[: len(prefix)] = prefix
            self._cut(ids, row[len(prefix) : length - len(suffix)])
            row[length - len(suffix) : length] = suffix
        marks = None if evidence is None else np.zeros(tokens.shape, bool)
        if marks is not None and evidence is not None:
            for row, flags, length in zip(marks, evidence, lengths, strict=True):
                self._cut(flags, row[len(prefix) : length - len(suffix)])
        return TextBatch(
            labels=None if labels is None else torch.from_numpy(labels),
            ids=torch.from_numpy(rows),
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
            padded=bool((lengths < longest).any()),
            prefix=len(prefix),
            suffix=len(suffix),
            evidence=None if marks is None else torch.from_numpy(marks),
        )

    def lengths(self, raw: Integers) -> Integers:
        """Lengths in a batch, special tokens included, of texts with so many tokens."""
        special = len(self.spec.prefix) + len(self.spec.suffix)
        return np.minimum(raw, self.spec.max_length - special) + special

    def _cut(self, values: Sequence[int] | NDArray[Any], into: NDArray[Any]) -> None:
        """Writes those of a text's tokens, or of what is said of each, that are kept."""
        head, tail = self._kept(len(values))
        into[:head] = values[:head]
        into[head:] = values[len(values) - tail :]

    def _kept(self, count: int) -> tuple[int, int]:
        """How many of a text's tokens are kept from its start, and how many from its end."""
        room = self.spec.max_length - len(self.spec.prefix) - len(self.spec.suffix)
        if count <= room or self.truncate == "head":
            return min(count, room), 0
        return (0, room) if self.truncate == "tail" else (room - room // 2, room // 2)

    def _shortened(self, text: str) -> str:
        """The part of a very long text in which what is kept of it lies, so that the rest costs nothing."""
        most = CHARACTERS * self.spec.max_length
        if len(text) <= most or self.truncate == "head":
            return text[:most]
        return text[-most:] if self.truncate == "tail" else f"{text[: most // 2]} {text[-most // 2 :]}"

    def _read(self, inputs: list[str]) -> list[ReadText]:
        texts = [clean(text, self.strip_html) for text in inputs]
        read = []
        for text, (ids, spans) in zip(texts, self.vocabulary.ids_and_spans(texts), strict=True):
            head, tail = self._kept(len(spans))
            ends = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans)).reshape(-1, 2)
            # a token can begin with the space before its word, so that its last character tells the word
            last = np.maximum(ends[:, 0], ends[:, 1] - 1)
            read.append(ReadText(text, ids, np.concatenate((last[:head], last[len(last) - tail :]))))
        return read

    def _explain(self, read: list[ReadText], attention: Attention) -> Iterator[dict[str, Any]]:
        first = len(self.spec.prefix)
        for one, importance in zip(read, attention.importance.cpu().numpy(), strict=True):
            words, shares = _by_word(one.text, one.last, importance[first : first + len(one.last)])
            yield _described(words, shares, attention.signed)

    def describe(self, batch: TextBatch) -> Callable[[Attention], Iterator[dict[str, Any]]]:
        """As a reading's `explain`, for a batch whose texts are not at hand: words as the tokens spell them."""
        tokenizer = self.vocabulary.tokenizer
        rows = zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)
        spelt = [spell(tokenizer, tokens[:length]) for tokens, length in rows]

        def explain(attention: Attention) -> Iterator[dict[str, Any]]:
            for (words, places), importance in zip(spelt, attention.importance.cpu().numpy(), strict=True):
                known = np.array(places) >= 0
                of_words = importance[: len(places)][known]
                shares = np.bincount(np.array(places)[known], of_words, minlength=len(words)).astype(float)
                yield _described(words, shares, attention.signed)

        return explain


def spell(tokenizer: Any, tokens: list[int]) -> tuple[list[str], list[int]]:
    """The words that tokens spell, and which of them each token belongs to; special tokens to none, which is -1."""
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=True)
    words: list[str] = []
    places: list[int] = []
    for token in tokens:
        piece = stream.step(tokenizer, token)
        if piece is None:
            places.append(-1)
            continue
        if not words or piece.startswith(" "):
            words.append(piece.strip())
        else:
            words[-1] += piece
        places.append(len(words) - 1)
    return words, places


def _described(words: list[str], shares: NDArray[np.floating[Any]], signed: bool) -> dict[str, Any]:
    if not signed:
        total = shares.sum()
        shares = shares / total if total > 0 else np.full(len(words), 1 / max(len(words), 1))
    return {"words": words, "attention": shares.tolist()}


def _by_word(text: str, last: Integers, importance: NDArray[np.float32]) -> tuple[list[str], NDArray[np.floating[Any]]]:
    """The text's own words and what falls on each, from what falls on the tokens which end at `last`.

    A word that was cut off has 0.
    """
    words = text.split()
    if not words:
        return [], np.zeros(0)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    inside = np.concatenate(([False], ~SPACE[np.minimum(points, BEYOND_SPACES)]))
    starts = np.flatnonzero(inside[1:] & ~inside[:-1])
    places = np.searchsorted(starts, last, side="right") - 1
    return words, np.bincount(places.clip(min=0), importance, minlength=len(words)).astype(float)


def _windows(inputs: Iterable[T], size: int) -> Iterator[list[T]]:
    """`size` inputs, then twice as many each time."""
    stream, count = iter(inputs), size
    while window := list(islice(stream, count)):
        yield window
        count = min(2 * count, LARGEST_WINDOW * size)


def drop_words(batch: TextBatch, epoch: int, *, share: float, unknown_id: int) -> TextBatch:
    """Makes about `share` of the texts' own tokens unknown, others whenever it is asked."""
    dropped = torch.rand(batch.tokens.shape, device=batch.tokens.device) < share
    own = batch.own()
    return replace(batch, tokens=batch.tokens.masked_fill(dropped if own is None else dropped & own, unknown_id))
