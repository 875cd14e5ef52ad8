"""Texts in, split into words: batches of token ids that know where words begin. Attention on words out."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Attention
from attnpred.data.batching import Integers
from attnpred.errors import BadInput
from attnpred.modalities import received
from attnpred.modalities.reader import Describe
from attnpred.modalities.text.batch import TextInput
from attnpred.modalities.text.reader import ReadText, TextReader
from attnpred.modalities.text.tokens import clean
from attnpred.modalities.text.words import shares_of
from attnpred.modalities.words.batch import WordsInput, WordsSpec
from attnpred.modalities.words.split import Words, encode

SPEC = WordsSpec


@dataclass(frozen=True)
class ReadWords(ReadText):
    given: Words
    begins: NDArray[np.bool_]  # of each token, whether a word begins with it


class WordsReader(TextReader):
    """A text is split into words by itself; a list of words, or a JSON list of them, is taken as it is."""

    name = "words"

    def received(self, value: Any, position: int) -> Any:
        return received.text(value, position, words=True)

    def _texts(self, value: Any, position: int) -> list[Any]:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return [Words.of_text(value)]
        if isinstance(value, str):
            return [Words.of_text(value)]
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            raise BadInput("the model reads words; give a text, or a JSON list of its words", position)
        return [Words.of_list([clean(word, self.strip_html) for word in value])]

    def _shortened(self, text: Any) -> Any:
        return text

    def _read(self, rows: list[list[Any]]) -> list[list[ReadText]]:
        ids, begins = encode(self.vocabulary, [row[0].words for row in rows])
        read: list[list[ReadText]] = []
        for [given], own, marks in zip(rows, ids, begins, strict=True):
            read.append([ReadWords(given.text, own, np.cumsum(marks) - 1, given, marks)])
        return read

    def _named(self, said: Any) -> Any:
        return said.text

    def _batch(self, chosen: list[list[ReadText]]) -> TextInput:
        return self.collate_words([row[0].ids for row in chosen], [row[0].begins for row in chosen])  # type: ignore[attr-defined]

    def collate_words(
        self, rows: Sequence[Sequence[int] | NDArray[Any]], begins: Sequence[NDArray[np.bool_]]
    ) -> WordsInput:
        """As `collate`, of rows of one text each; `begins` marks the tokens, cut ones too, with which words begin."""
        found = self.collate([[ids] for ids in rows])
        words = np.full(found.tokens.shape, -1, np.int64)
        for row, marks in enumerate(begins):
            kept = min(len(marks), self.spec.room)
            place = len(self.spec.prefix)
            self._cut(np.cumsum(marks) - 1, words[row, place : place + kept])
        values = {f.name: getattr(found, f.name) for f in fields(found)}
        return WordsInput(**values, words=torch.from_numpy(words))

    def _describe(self, read: list[list[ReadText]], attention: Attention) -> Iterator[dict[str, Any]]:
        for [text], importance in zip(read, attention.importance.cpu().numpy(), strict=True):
            assert isinstance(text, ReadWords)
            kept = min(len(text.ids), self.spec.room)
            owners = np.zeros(kept, np.int64)
            self._cut(text.ends, owners)  # of each token the word that it belongs to
            place = len(self.spec.prefix)
            shares = _by_owner(owners, importance[place : place + kept], len(text.given.spans))
            described = {"words": text.given.words, "attention": shares_of(shares, attention.signed).tolist()}
            yield {**described, "characters": [list(span) for span in text.given.spans]}

    def describe(self, found: TextInput) -> Describe:
        """As a reading's `describe`, for a batch whose texts are not at hand: words as tokens spell them."""
        assert isinstance(found, WordsInput)
        tokenizer = self.vocabulary.tokenizer
        spelt = []  # of each example: its words, their places, and which of them the tokens there belong to
        for tokens, owners in zip(found.tokens.numpy(force=True), found.words.numpy(force=True), strict=True):
            places = np.flatnonzero(owners >= 0)
            _, belongs = np.unique(owners[places], return_inverse=True)
            ends = np.cumsum(np.bincount(belongs))[:-1]
            words = [spelled(tokenizer, ids.tolist()) for ids in np.split(tokens[places], ends) if len(ids)]
            spelt.append((words, places, belongs))

        def explain(attention: Attention) -> Iterator[dict[str, Any]]:
            for (words, places, belongs), importance in zip(spelt, attention.importance.cpu().numpy(), strict=True):
                shares = _by_owner(belongs, importance[places], len(words))
                yield {"words": words, "attention": shares_of(shares, attention.signed).tolist()}

        return explain


READER = WordsReader


def spelled(tokenizer: Any, ids: list[int]) -> str:
    """The word that its tokens spell; our own tokenizers have no decoder that takes off what marks the inside."""
    if tokenizer.decoder is not None:
        return str(tokenizer.decode(ids)).strip()
    return "".join(tokenizer.id_to_token(number).removeprefix("##").removesuffix("</w>") for number in ids)


def _by_owner(owners: Integers, importance: NDArray[Any], words: int) -> NDArray[np.floating[Any]]:
    """Each word's sum of the values of its tokens, which belong to `owners`."""
    if not words:
        return np.zeros(0)
    return np.bincount(owners, importance, minlength=words).astype(float)
