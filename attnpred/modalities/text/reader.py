"""Texts in: batches of token ids. Attention on tokens out: attention on words."""

import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Attention, Batch
from attnpred.data.batching import Integers, cut_by_tokens, padded, tokens_at_once, windows
from attnpred.data.evidence import Marks
from attnpred.errors import BadInput, UserError
from attnpred.modalities import received
from attnpred.modalities.reader import Describe, Reader, Reading, refuse_file
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.modalities.text.tokenizer_check import check
from attnpred.modalities.text.tokens import TOKENIZER_FILE, Vocabulary, clean
from attnpred.modalities.text.words import by_word, shares_of, spell
from attnpred.pages import pictures
from attnpred.pages.colours import shade
from attnpred.pages.pictures import Caption

SPEC = TextSpec
TRUNCATES = ("head", "tail", "both")
CHARACTERS = 64  # of new input are read for each token that may be kept


@dataclass(frozen=True)
class ReadText:
    text: str  # as the tokenizer gets it
    ids: Sequence[int]
    ends: Integers  # of each token, where in the text its last character is


class TextReader(Reader[TextSpec, TextInput]):
    """Makes batches of texts, and words' attention of tokens'."""

    name = "text"

    def __init__(self, spec: TextSpec, vocabulary: Vocabulary, *, strip_html: bool, truncate: str) -> None:
        self.spec = replace(spec, spelled=vocabulary.spelled)
        self.vocabulary = vocabulary
        self.strip_html, self.truncate = strip_html, truncate

    def going_on(self, config: Any) -> Self:
        spec = replace(self.spec, max_length=config.max_length)
        return type(self)(spec, self.vocabulary, strip_html=config.strip_html, truncate=config.truncate)

    def options(self) -> dict[str, Any]:
        chosen = {"strip_html": self.strip_html, "truncate": self.truncate, "unknown_id": self.vocabulary.unknown_id}
        return {**chosen, "tokenizer": _digest(self.vocabulary.tokenizer_json)}

    def save_files(self, directory: Path) -> None:
        (directory / TOKENIZER_FILE).write_text(self.vocabulary.tokenizer_json, encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, spec: TextSpec, options: dict[str, Any]) -> "TextReader":
        kinds = {"strip_html": bool, "truncate": str, "unknown_id": int, "tokenizer": str}
        known = {"tokenizer": "", **options}  # earlier versions did not keep its digest
        if {name: type(value) for name, value in known.items()} != kinds or options["truncate"] not in TRUNCATES:
            raise ValueError("reader has other options")
        file = directory / TOKENIZER_FILE
        unknown_id = options["unknown_id"]
        try:
            text = file.read_text(encoding="utf-8")
            check(text, str(file))
            vocabulary = Vocabulary(text, spec.pad_id, unknown_id, spec.prefix, spec.suffix, between=spec.between)
            size = vocabulary.size
        except UserError:
            raise
        except Exception as error:  # of no type of its own where the library cannot read it
            raise UserError(f"{file}: no tokenizer can be read from there ({error}); restore the file") from None
        if known["tokenizer"] not in ("", _digest(text)):
            raise UserError(f"{file}: is another tokenizer than the run was trained with; restore the file")
        if not 0 <= unknown_id < spec.vocab_size or size > spec.vocab_size:
            raise ValueError(f"its tokenizer has {size} entries, the model {spec.vocab_size}")
        return cls(spec, vocabulary, strip_html=options["strip_html"], truncate=options["truncate"])

    def readings(self, inputs: Iterable[Any], size: int) -> Iterator[Reading]:
        """Batches of new texts, those of like length together; none needs more memory than `size` of the longest would.

        They are sorted among the first `size`, then among twice as many each time, so that the first ones wait little.
        """
        budget = tokens_at_once(size, self.spec.max_length)
        start = 0
        for given in windows(inputs, size):
            rows = [[self._shortened(text) for text in self._texts(one, start + i)] for i, one in enumerate(given)]
            read = self._read(rows)
            lengths = self.lengths(np.array([sum(len(text.ids) for text in row) for row in read]))
            order = np.argsort(lengths, kind="stable")
            said = rows if self.spec.names else [row[0] for row in rows]
            for begin, end in pairwise(cut_by_tokens(padded(lengths[order]), budget)):
                places = order[begin:end]
                chosen = [read[place] for place in places]
                batch = Batch(inputs={self.name: self._batch(chosen)}, targets={}, ids=torch.from_numpy(start + places))
                shown = [self._named(said[place]) for place in places]
                yield Reading(shown, batch, partial(self._describe, chosen))
            start += len(given)

    def together(self, values: Sequence[Any]) -> tuple[TextInput, Describe]:
        read = self._read([[self._shortened(text) for text in self._texts(one, i)] for i, one in enumerate(values)])
        return self._batch(read), partial(self._describe, read)

    def blank(self) -> Any:
        return dict.fromkeys(self.spec.names, "") if self.spec.names else ""

    def _batch(self, chosen: list[list[ReadText]]) -> TextInput:
        texts = self.collate([[text.ids for text in row] for row in chosen])
        hidden = texts.tokens == self.spec.mask_id
        masks = self.spec.mask_id != self.vocabulary.unknown_id and hidden.any()
        return replace(texts, hidden=hidden) if masks else texts

    def accept(self, value: str, position: int) -> Any:
        refuse_file(value, position)
        return value

    def received(self, value: Any, position: int) -> Any:
        return received.text(value, position, names=self.spec.names)

    def _texts(self, value: Any, position: int) -> list[str]:
        """The texts of one example: one, or those that are read together."""
        names = self.spec.names
        if not names:
            return [value]
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                texts = value.split("\t")
                value = dict(zip(names, texts, strict=True)) if len(texts) == len(names) else None
        if not isinstance(value, Mapping) or not all(isinstance(value.get(name), str) for name in names):
            example = json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)
            raise BadInput(
                f"the model reads {len(names)} texts; give them as {example}, or with a tab between", position
            )
        return [value[name] for name in names]

    def _named(self, said: Any) -> Any:
        return dict(zip(self.spec.names, said, strict=True)) if self.spec.names else said

    def collate(
        self, rows: Sequence[Sequence[Sequence[int] | NDArray[Any]]], evidence: Sequence[Marks] | None = None
    ) -> TextInput:
        """Token ids of each row's texts, which have neither special tokens nor been cut, as one padded tensor.

        `evidence` marks each row's tokens, those that will be cut too.
        """
        spec = self.spec
        counts = np.array([[len(text) for text in row] for row in rows], np.int64)  # (rows, texts)
        lengths = self.lengths(counts.sum(1))
        # no longer than what positions are known for
        longest = min(int(padded(lengths).max(initial=0)), spec.max_length)
        tokens = np.full((len(rows), longest), spec.pad_id, np.int64)
        segments = np.full(tokens.shape, -1, np.int64) if spec.names else None
        marks = None if evidence is None else np.zeros(tokens.shape, bool)
        for row, texts in enumerate(rows):
            place = 0
            taken = 0  # of the row's evidence
            for number, (text, kept) in enumerate(zip(texts, self._shares(counts[row]), strict=True)):
                before = spec.prefix if number == 0 else spec.between
                tokens[row, place : place + len(before)] = before
                place += len(before)
                self._cut(text, tokens[row, place : place + kept])
                if segments is not None:
                    segments[row, place : place + kept] = number
                if marks is not None and evidence is not None:
                    self._cut(evidence[row][taken : taken + len(text)], marks[row, place : place + kept])
                    taken += len(text)
                place += kept
            tokens[row, place : place + len(spec.suffix)] = spec.suffix
        return TextInput(
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
            padded=bool((lengths < longest).any()),
            prefix=len(spec.prefix),
            suffix=len(spec.suffix),
            segments=None if segments is None else torch.from_numpy(segments),
            evidence=None if marks is None else torch.from_numpy(marks),
        )

    def lengths(self, raw: Integers) -> Integers:
        """Lengths in a batch, special tokens included, of rows with so many tokens."""
        return np.minimum(raw, self.spec.room) + self.spec.special

    def _shares(self, counts: Integers) -> list[int]:
        """How many tokens of each of a row's texts are kept: the longest is cut first, until all find room."""
        room = self.spec.room
        if counts.sum() <= room:
            return [int(count) for count in counts]
        kept = np.zeros(len(counts), np.int64)
        for turn, place in enumerate(np.argsort(counts, kind="stable")):  # a short text leaves more to the others
            kept[place] = min(int(counts[place]), (room - int(kept.sum())) // (len(counts) - turn))
        return [int(count) for count in kept]

    def _cut(self, values: Sequence[int] | NDArray[Any], into: NDArray[Any]) -> None:
        """Writes those of a text's tokens, or of what is said of each, that are kept: as many as there is room for."""
        head, tail = self._ends(len(values), len(into))
        into[:head] = values[:head]
        into[head:] = values[len(values) - tail :]

    def _ends(self, count: int, room: int) -> tuple[int, int]:
        """How many of a text's tokens are kept from its start, and how many from its end."""
        if count <= room or self.truncate == "head":
            return min(count, room), 0
        return (0, room) if self.truncate == "tail" else (room - room // 2, room // 2)

    def _shortened(self, text: str) -> str:
        """The part of a very long text in which what is kept of it lies, so that the rest costs nothing."""
        most = CHARACTERS * self.spec.max_length
        if len(text) <= most or self.truncate == "head":
            return text[:most]
        return text[-most:] if self.truncate == "tail" else f"{text[: most // 2]} {text[-most // 2 :]}"

    def _read(self, rows: list[list[str]]) -> list[list[ReadText]]:
        texts = [clean(text, self.strip_html) for row in rows for text in row]
        read = []
        for text, (ids, spans) in zip(texts, self.vocabulary.ids_and_spans(texts), strict=True):
            ends = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans)).reshape(-1, 2)
            # a token can begin with the space before its word, so that its last character tells the word
            read.append(ReadText(text, ids, np.maximum(ends[:, 0], ends[:, 1] - 1)))
        width = max(len(self.spec.names), 1)
        return [read[start : start + width] for start in range(0, len(read), width)]

    def _describe(self, read: list[list[ReadText]], attention: Attention) -> Iterator[dict[str, Any]]:
        for row, importance in zip(read, attention.importance.cpu().numpy(), strict=True):
            place = len(self.spec.prefix)
            found = []
            for text, kept in zip(row, self._shares(np.array([len(t.ids) for t in row])), strict=True):
                head, tail = self._ends(len(text.ends), min(kept, len(text.ends)))
                ends = np.concatenate((text.ends[:head], text.ends[len(text.ends) - tail :]))
                found.append(by_word(text.text, ends, importance[place : place + len(ends)]))
                place += kept + len(self.spec.between)
            yield self._described(found, attention.signed)

    def describe(self, found: TextInput) -> Describe:
        """What a reading's `describe` does, for a batch whose texts are not at hand: words as the tokens spell them."""
        tokenizer = self.vocabulary.tokenizer
        rows = zip(found.tokens.tolist(), found.lengths.tolist(), strict=True)
        given = [tokens[:length] for tokens, length in rows]
        texts = len(self.spec.names) or 1
        segments = None if found.segments is None else found.segments.tolist()
        spelt = []  # of each example and text: its words, and which of them each token belongs to
        for row, tokens in enumerate(given):
            own = [0] * len(tokens) if segments is None else segments[row]
            each = [[place for place in range(len(tokens)) if own[place] == number] for number in range(texts)]
            spelt.append([(places, *spell(tokenizer, [tokens[p] for p in places])) for places in each])

        def explain(attention: Attention) -> Iterator[dict[str, Any]]:
            for row, importance in zip(spelt, attention.importance.cpu().numpy(), strict=True):
                found = []
                for places, words, belongs in row:
                    known = np.array(belongs, np.int64) >= 0
                    some = importance[np.array(places, np.int64)[known]]
                    shares = np.bincount(np.array(belongs, np.int64)[known], some, minlength=len(words))
                    found.append((words, shares.astype(float)))
                yield self._described(found, attention.signed)

        return explain

    def _described(self, found: list[tuple[list[str], NDArray[Any]]], signed: bool) -> dict[str, Any]:
        """All words of an example with their shares; where it has several texts, also how many words each has."""
        words = [word for some, _ in found for word in some]
        shares = shares_of(np.concatenate([some for _, some in found]), signed)
        described = {"words": words, "attention": shares.tolist()}
        if self.spec.names:
            described["texts"] = {name: len(some) for name, (some, _) in zip(self.spec.names, found, strict=True)}
        return described

    def shown(self, found: TextInput, attention: Attention, describe: Describe) -> list[dict[str, Any]]:
        return [{key: one[key] for key in ("words", "texts") if key in one} for one in describe(attention)]

    def maps(self, found: TextInput, importance: Any, attention: Attention, describe: Describe) -> list[list[float]]:
        return [one["attention"] for one in describe(Attention(importance, signed=True))]

    def draw(self, examples: Sequence[dict[str, Any]], maps: Sequence[Any], captions: Sequence[Caption]) -> np.ndarray:
        return pictures.text_examples([one["words"] for one in examples], [list(one) for one in maps], captions)

    def html(self, answer: dict[str, Any], caption: Caption) -> str:
        """Words on the colours of the pages, each with its number under the pointer."""
        texts = answer.get("texts") or {"": answer}
        shares = [share for one in texts.values() for share in one["attention"]]
        top, signed = max(map(abs, shares), default=0.0), any(share < 0 for share in shares)
        found = []
        for name, one in texts.items():
            found += [f"<br><i>{html.escape(name)}</i>"] if name else []
            for word, share in zip(one["words"], one["attention"], strict=True):
                colour = shade(share / max(top, 1e-12), signed=signed)
                look = f' style="background:rgb{colour};color:#1b1c22;border-radius:3px"' if colour else ""
                found.append(f'<span title="{share:.3g}"{look}>{html.escape(word)}</span>')
        return " ".join(found)


READER = TextReader


def _digest(tokenizer: str) -> str:
    return hashlib.blake2b(tokenizer.encode(), digest_size=16).hexdigest()
