"""Data of words: its options and the dataset."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.config.options import Modality
from attnpred.config.schema import Invalid
from attnpred.contracts import Batch
from attnpred.data.batching import Integers
from attnpred.errors import BadRow, UserError
from attnpred.modalities.text.data import TextData, TextDataConfig
from attnpred.modalities.text.reader import TextReader
from attnpred.modalities.text.rows import CHUNK, Rows
from attnpred.modalities.text.tokens import TokenStore, clean, write_tokens
from attnpred.modalities.words.batch import WordsSpec
from attnpred.modalities.words.reader import WordsReader
from attnpred.modalities.words.split import encode

BEGINS_FILE = "begins.bin"


@dataclass(kw_only=True)
class WordsDataConfig(TextDataConfig):
    """Options of data of words; text_column holds lists of words."""

    modality: ClassVar[Modality] = "words"
    finds_class: ClassVar[bool] = False

    def check(self) -> None:
        super().check()
        if self.stream:
            raise Invalid("stream", "reads texts, and these are lists of words; set it to false")
        if self.evidence_column is not None:
            raise Invalid("evidence_column", "marks characters of a text, and lists of words have none; set it to null")
        if len(self.text_columns()) > 1:
            raise Invalid("text_column", "must name one column of lists of words")


class WordStore(TokenStore):
    """Every row's token ids, and which of them begin a word."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._begins = np.memmap(directory / BEGINS_FILE, np.bool_, mode="r")

    def begins(self, rows: Integers) -> list[NDArray[np.bool_]]:
        return [self._begins[self._offsets[row] : self._offsets[row + 1]] for row in rows.astype(np.int64)]


class WordsData(TextData):
    """A dataset of texts that come as lists of words; tags are on the first of a word's tokens."""

    stored = "words"

    def _batch(self, store: TokenStore, rows: NDArray[np.int64], targets: dict[str, Tensor]) -> Batch:
        assert isinstance(store, WordStore)
        assert isinstance(self.reader, WordsReader)
        words = self.reader.collate_words([store.row(row)[0] for row in rows], store.begins(rows))
        if self.target.by_word:
            targets = {name: words.on_parts(values) for name, values in targets.items()}
        return Batch(inputs={self.reader.name: words}, targets=targets, ids=torch.from_numpy(rows))

    def _make_reader(self) -> TextReader:
        texts = super()._make_reader()
        spec = WordsSpec(**{**texts.spec.as_dict(), "modality": WordsSpec.modality})
        return WordsReader(spec, texts.vocabulary, strip_html=texts.strip_html, truncate=texts.truncate)

    def _write(self, directory: Path, rows: Iterator[Rows], name: str, option: str) -> None:
        vocabulary = self._vocabulary

        def ids(texts: list[Any]) -> list[list[int]]:
            found, begins = encode(vocabulary, texts)
            with (directory / BEGINS_FILE).open("ab") as file:
                file.write(np.concatenate(begins).tobytes())
            return found

        write_tokens(directory, vocabulary, rows, self._collector(name, option), ids=ids)

    def _opened(self, directory: Path) -> WordStore:
        return WordStore(directory)

    def _rows(
        self, name: str, option: str, columns: dict[str, str], strip_html: bool, start: int | None = None
    ) -> Iterator[Rows]:
        """As of texts, but that each row of the only column is a list of words, as many as it has tags."""
        assert start is None
        start, skips = 0, self.config.on_bad_row == "skip"
        for given, *targets in self.source.chunks_told(name, option, columns, CHUNK):
            kept: list[list[str]] = []
            for place, words in enumerate(given):
                tags = targets[0][place] if self.target.by_word else None
                wrong = self._wrong(words, tags)
                if wrong and not skips:
                    raise self._bad(words, wrong, start + place, f"{option}={name}")
                kept.append([] if wrong else [clean(word, strip_html) for word in words])
            yield [kept], targets, [], [bool(words) for words in kept] if skips else None  # type: ignore[list-item]
            start += len(given)

    def _wrong(self, words: Any, tags: Any) -> str | None:
        """The fault of a row, whose tags are None where its target is none of words."""
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            return "has no words"
        if not words:
            return "has no words"
        if isinstance(tags, list) and len(tags) != len(words):
            return f"has {len(words)} words and {len(tags)} tags"
        return None

    def _bad(self, words: Any, wrong: str, row: int, place: str) -> UserError:
        column = f"data.text_column={','.join(self.config.text_columns())}"
        if words is not None and not isinstance(words, list):
            return UserError(f"{column}: holds {type(words).__name__} values; choose a column of lists of words")
        return BadRow(f"{column}: row {row} of {place} {wrong}; mend it, or set data.on_bad_row=skip", row)

    def _train_texts(self) -> Iterator[str]:
        rows: Iterator[Any] = super()._train_texts()
        return (" ".join(words) for words in rows)
