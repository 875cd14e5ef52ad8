"""Text data: its options and the dataset."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache as cached
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig, Modality, TokenizerConfig
from attnpred.config.schema import Invalid, option
from attnpred.console.say import counted
from attnpred.contracts import TextBatch, TextSpec
from attnpred.data import cache
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader, Integers, tokens_at_once
from attnpred.data.labels import LabelColumn, translate
from attnpred.data.sources import files_digest
from attnpred.data.splits import Split, carving, rows_of, source_split
from attnpred.errors import BadRow, UserError
from attnpred.machine.hub import locate
from attnpred.modalities.text.reader import TextReader, drop_words
from attnpred.modalities.text.tokenizer_training import train_vocabulary
from attnpred.modalities.text.tokens import PLACE, TokenStore, Vocabulary, checkpoint_vocabulary, clean, write_tokens

# raised when the code makes other files of the same input
VOCABULARY_VERSION, TOKENS_VERSION = 2, 3
CHUNK = 2000  # texts in memory at once


@dataclass(kw_only=True)
class TextDataConfig(DataConfig):
    """Options of text data."""

    modality: ClassVar[Modality] = "text"

    text_column: str = option("Column that holds the text.")
    strip_html: bool = option("Turn <br /> into line breaks and entities such as &amp; into characters.")
    max_length: int = option("Tokens a text is cut to, special ones included.", ge=1)
    truncate: Literal["head", "tail", "both"] = option(
        "Part of a longer text that is kept; both: half from either end."
    )
    word_dropout: float = option("Share of a training text's tokens that are made unknown.", ge=0, lt=1)
    token_budget: int | None = option(
        "Most tokens a training batch, padding included; takes the place of batch_size. null goes by batch_size.", ge=1
    )
    tokenizer: TokenizerConfig

    def check(self) -> None:
        super().check()
        if self.token_budget is not None and self.token_budget < self.max_length:
            raise Invalid(
                "token_budget", f"too small for one text of max_length={self.max_length}; raise it or lower that"
            )
        if self.evidence_column is not None and self.strip_html:
            raise Invalid("evidence_column", "counts the raw text's characters; set data.strip_html=false")


class TextData(Data[TextDataConfig, TextReader, TokenStore]):
    """A dataset of texts."""

    @property
    def spec(self) -> TextSpec:
        return self.reader.spec

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader[TextBatch]:
        store, rows, labels = self._part(split, self.spec.classes)

        def make(positions: Integers) -> TextBatch:
            chosen = rows[positions].astype(np.int64)
            texts, evidence = [store.text(row) for row in chosen], store.evidence(chosen)
            return self.reader.collate(texts, labels[chosen].astype(np.int64), chosen, evidence)

        train, longest = split == "train", self.spec.max_length
        return BatchLoader(
            make,
            self.reader.lengths(store.lengths(rows)),
            batch_size=self.config.batch_size,
            token_budget=self.config.token_budget if train else tokens_at_once(self.config.eval_batch_size, longest),
            train=train,
            seed=seed,
            rank=rank,
            world=world,
        )

    def augment(self, epochs: int) -> Callable[[TextBatch, int], TextBatch] | None:
        share = self.config.word_dropout
        return partial(drop_words, share=share, unknown_id=self.reader.vocabulary.unknown_id) if share else None

    def _make_reader(self) -> TextReader:
        config, vocabulary = self.config, self._vocabulary
        special = len(vocabulary.prefix) + len(vocabulary.suffix)
        max_length = min(config.max_length, vocabulary.max_length or config.max_length)
        if max_length <= special:
            raise UserError(
                f"data.max_length={config.max_length}: leaves no room beside {special} special tokens; raise it"
            )
        spec = TextSpec(
            classes=tuple(self._store("train").classes),
            vocab_size=vocabulary.size,
            max_length=max_length,
            pad_id=vocabulary.pad_id,
            mask_id=vocabulary.unknown_id if vocabulary.mask_id is None else vocabulary.mask_id,
            prefix=vocabulary.prefix,
            suffix=vocabulary.suffix,
        )
        return TextReader(spec, vocabulary, strip_html=config.strip_html, truncate=config.truncate)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        if self._given is not None:
            return self._given.vocabulary
        if self._tokenizer_source is not None:
            return self._checkpoint_vocabulary(self._tokenizer_source)
        config = self.config
        key: dict[str, Any] = {
            "version": VOCABULARY_VERSION,
            "carving": carving(config),
            "strip_html": config.strip_html,
            "tokenizer": asdict(config.tokenizer),
            **self._skipping(),
        }

        def build(directory: Path) -> None:
            train_vocabulary(config.tokenizer, self._train_texts()).save(directory)

        train, what = source_split(config, "train"), f"a {config.tokenizer.kind} tokenizer"
        return Vocabulary.load(self._entry("tokenizer", train, self._columns(), key, what, build))

    def _checkpoint_vocabulary(self, source: str) -> Vocabulary:
        local = locate(source, place=PLACE)
        known: Any = source if local is None else [str(local), files_digest(local)]
        key = {"version": VOCABULARY_VERSION, "checkpoint": known}
        found = cached(lambda: checkpoint_vocabulary(source))
        what = f"the tokenizer of {source}"
        place = cache.entry(self.config.cache_dir, "tokenizer", key, what, found, lambda d: found().save(d))
        return Vocabulary.load(place)

    def _columns(self) -> dict[str, str]:
        return {"data.text_column": self.config.text_column, "data.label_column": self.config.label_column}

    def _prepare(self, name: str, option: str) -> TokenStore:
        config, vocabulary, columns = self.config, self._vocabulary, self._all_columns()
        strip_html = self._given.strip_html if self._given is not None else config.strip_html
        if strip_html and config.evidence_column is not None:
            raise UserError(
                f"data.evidence_column={config.evidence_column}: counts the raw text's characters, but the model's "
                "reader strips HTML; set data.evidence_column=null"
            )
        key = {
            "version": TOKENS_VERSION,
            "strip_html": strip_html,
            "tokenizer": vocabulary.fingerprint,
            "unknown_id": vocabulary.unknown_id,
            **self._skipping(),
        }

        def build(directory: Path) -> None:
            labels = LabelColumn(config.label_column, self.source.class_names(name, option, config.label_column))
            rows = self._rows(name, option, columns, strip_html)
            write_tokens(directory, vocabulary, rows, labels, self._evidence(name, option))

        return TokenStore(self._entry("tokens", (name, option), columns, key, f"split {name}", build))

    def _rows(self, name: str, option: str, columns: dict[str, str], strip_html: bool) -> Iterator[list[list[Any]]]:
        """Chunks of `columns` of a source's split, the first being texts, which come clean."""
        chunks = self.source.chunks(name, option, columns, CHUNK)
        start = 0
        for texts, labels, *others in counted(f"reading {name} of {self.config.source}", chunks):
            if self.config.on_bad_row == "skip":
                bad = [not isinstance(text, str) or not text.strip() for text in texts]
                # they keep their place, and are left out by having no label
                labels = [None if b else label for b, label in zip(bad, labels, strict=True)]
                texts = ["" if b else text for b, text in zip(bad, texts, strict=True)]
            row = next((row for row, text in enumerate(texts, start) if not isinstance(text, str)), None)
            if row is not None:
                raise self._no_text(texts[row - start], row, f"{option}={name}")
            yield [[clean(text, strip_html) for text in texts], labels, *others]
            start += len(texts)

    def _no_text(self, value: Any, row: int, place: str) -> UserError:
        column = f"data.text_column={self.config.text_column}"
        if value is not None and not isinstance(value, bytes):
            return UserError(f"{column}: holds {type(value).__name__} values; choose a column of texts")
        problem = "has no text" if value is None else "is no text in UTF-8"
        return BadRow(f"{column}: row {row} of {place} {problem}; mend it, or set data.on_bad_row=skip", row)

    def _labels(self, name: str, option: str) -> Iterator[tuple[None, list[Any]]]:
        """Chunks as `_rows` gives them, of labels alone, which is quicker."""
        for chunk in self.source.chunks(name, option, {"data.label_column": self.config.label_column}, CHUNK):
            yield None, chunk[0]

    def _train_texts(self) -> Callable[[], Iterator[str]]:
        """Streams the texts of the train part, as often as it is called."""
        config = self.config
        train = source_split(config, "train")
        wanted: NDArray[np.bool_] | None = None
        if carving(config):
            column = LabelColumn(config.label_column, self.source.class_names(*train, config.label_column))
            skips = config.on_bad_row == "skip"  # then the texts say which rows count, too
            for _, chunk in self._rows(*train, self._columns(), config.strip_html) if skips else self._labels(*train):
                column.add(chunk)
            labels, classes = column.finish()
            good = np.flatnonzero((labels >= 0) & (labels < len(classes))) if skips else np.arange(len(labels))
            translate(labels[good], classes, classes, f"data.train_split={config.train_split}")
            wanted = np.zeros(len(labels), bool)
            wanted[good[rows_of(config, "train", labels[good])]] = True

        def stream() -> Iterator[str]:
            start = 0
            for texts, _ in self._rows(*train, self._columns(), config.strip_html):
                here = np.ones(len(texts), bool) if wanted is None else wanted[start : start + len(texts)]
                yield from (text for text, is_train in zip(texts, here, strict=True) if is_train)
                start += len(texts)

        return stream
