"""Text data: its options, the reader that makes batches of texts and words of attention, and the dataset."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache as cached
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.config import DataConfig, Modality, TokenizerConfig
from attnpred.contracts import TextBatch, TextSpec
from attnpred.data import cache
from attnpred.data.base import Data
from attnpred.data.labels import LabelColumn, translate
from attnpred.data.loader import BatchLoader, Integers
from attnpred.data.progress import counted
from attnpred.data.reader import load_spec, save_spec
from attnpred.data.sources import files_digest
from attnpred.data.splits import Split, carving, rows_of, source_split
from attnpred.data.tokens import (
    PLACE,
    TOKENIZER_FILE,
    TokenStore,
    Vocabulary,
    checkpoint_vocabulary,
    clean,
    write_tokens,
)
from attnpred.data.training import train_vocabulary
from attnpred.errors import UserError
from attnpred.hub import locate
from attnpred.schema import Invalid, option

# raised when the code makes other files of the same input
VOCABULARY_VERSION, TOKENS_VERSION = 1, 1
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


class TextReader:
    """Makes batches of texts, and words' attention of tokens'."""

    def __init__(self, spec: TextSpec, vocabulary: Vocabulary, *, strip_html: bool, truncate: str) -> None:
        self.spec = spec
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
        text = (directory / TOKENIZER_FILE).read_text(encoding="utf-8")
        vocabulary = Vocabulary(text, spec.pad_id, own.pop("unknown_id"), spec.prefix, spec.suffix)
        return cls(spec, vocabulary, **own)

    def batch(self, inputs: list[str]) -> TextBatch:
        """New texts, in the order given."""
        ids = self.vocabulary.ids([clean(text, self.strip_html) for text in inputs])
        return self.collate(ids, None, np.arange(len(inputs)))

    def collate(
        self, texts: Sequence[Sequence[int] | NDArray[Any]], labels: Integers | None, rows: Integers
    ) -> TextBatch:
        """A batch of token ids that have neither special tokens nor been cut; `rows` become the batch's ids."""
        prefix, suffix = self.spec.prefix, self.spec.suffix
        lengths = self.lengths(np.array([len(t) for t in texts], np.int64))
        longest = int(lengths.max(initial=0))
        tokens = np.full((len(texts), longest), self.spec.pad_id, np.int64)
        for row, ids, length in zip(tokens, texts, lengths, strict=True):
            head, tail = self._kept(len(ids))
            row[: len(prefix)] = prefix
            own = row[len(prefix) : length - len(suffix)]
            own[:head] = ids[:head]
            own[head:] = ids[len(ids) - tail :]
            row[length - len(suffix) : length] = suffix
        return TextBatch(
            labels=None if labels is None else torch.from_numpy(labels),
            ids=torch.from_numpy(rows),
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
            padded=bool((lengths < longest).any()),
            prefix=len(prefix),
            suffix=len(suffix),
        )

    def lengths(self, raw: Integers) -> Integers:
        """Lengths in a batch, special tokens included, of texts with so many tokens."""
        special = len(self.spec.prefix) + len(self.spec.suffix)
        return np.minimum(raw, self.spec.max_length - special) + special

    def _kept(self, count: int) -> tuple[int, int]:
        """How many of a text's tokens are kept from its start, and how many from its end."""
        room = self.spec.max_length - len(self.spec.prefix) - len(self.spec.suffix)
        if count <= room or self.truncate == "head":
            return min(count, room), 0
        return (0, room) if self.truncate == "tail" else (room - room // 2, room // 2)

    def explain(self, text: str, importance: Sequence[float], *, grid: tuple[int, int] | None = None) -> dict[str, Any]:
        """The text's own words and the share of attention on each; `importance` is its row of a batch.

        A word that was cut off has 0. Where the text left no token of its own, its words share evenly. `grid` is for
        images.
        """
        text = clean(text, self.strip_html)
        found = list(re.finditer(r"\S+", text))
        if not found:
            return {"words": [], "attention": []}
        spans = self.vocabulary.tokenizer.encode(text, add_special_tokens=False).offsets
        head, tail = self._kept(len(spans))
        kept = spans[:head] + spans[len(spans) - tail :]
        # a token can begin with the space before its word, so that its last character tells the word
        last = [max(start, end - 1) for start, end in kept]
        words = np.searchsorted([m.start() for m in found], last, side="right") - 1
        first = len(self.spec.prefix)
        attention = np.zeros(len(found))
        np.add.at(attention, words.clip(min=0), np.asarray(importance, np.float64)[first : first + len(kept)])
        total = attention.sum()
        attention = attention / total if total > 0 else np.full(len(found), 1 / len(found))
        return {"words": [m.group() for m in found], "attention": attention.tolist()}


class TextData(Data[TextDataConfig, TextReader, TokenStore]):
    """A dataset of texts."""

    @property
    def spec(self) -> TextSpec:
        return self.reader.spec

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader[TextBatch]:
        store, rows, labels = self._part(split, self.spec.classes)

        def make(positions: Integers) -> TextBatch:
            chosen = rows[positions]
            return self.reader.collate([store.text(row) for row in chosen], labels[chosen], chosen)

        train = split == "train"
        return BatchLoader(
            make,
            self.reader.lengths(store.lengths[rows]),
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            token_budget=self.config.token_budget if train else None,
            train=train,
            seed=seed,
            rank=rank,
            world=world,
        )

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
        }

        def build(directory: Path) -> None:
            train_vocabulary(config.tokenizer, self._train_texts()).save(directory)

        return Vocabulary.load(
            self._entry("tokenizer", source_split(config, "train"), key, f"a {config.tokenizer.kind} tokenizer", build)
        )

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
        config, vocabulary = self.config, self._vocabulary
        strip_html = self._given.strip_html if self._given is not None else config.strip_html
        key = {
            "version": TOKENS_VERSION,
            "strip_html": strip_html,
            "tokenizer": vocabulary.fingerprint,
            "unknown_id": vocabulary.unknown_id,
        }

        def build(directory: Path) -> None:
            labels = LabelColumn(config.label_column, self.source.class_names(name, option, config.label_column))
            write_tokens(directory, vocabulary, self._rows(name, option, strip_html), labels)

        return TokenStore(self._entry("tokens", (name, option), key, f"split {name}", build))

    def _rows(self, name: str, option: str, strip_html: bool) -> Iterator[list[list[Any]]]:
        """Chunks of [clean texts, labels] of a source's split."""
        chunks = self.source.chunks(name, option, self._columns(), CHUNK)
        for texts, labels in counted(f"reading {name} of {self.config.source}", chunks):
            strange = [type(text).__name__ for text in texts if not isinstance(text, str | None)]
            if strange:
                place = f"data.text_column={self.config.text_column}"
                raise UserError(f"{place}: holds {strange[0]} values; choose a column of texts")
            yield [[clean(text or "", strip_html) for text in texts], labels]

    def _train_texts(self) -> Callable[[], Iterator[str]]:
        """Streams the texts of the train part, as often as it is called."""
        config = self.config
        train = source_split(config, "train")
        wanted: NDArray[np.bool_] | None = None
        if carving(config):
            column = LabelColumn(config.label_column, self.source.class_names(*train, config.label_column))
            for chunk in self.source.chunks(*train, {"data.label_column": config.label_column}, CHUNK):
                column.add(chunk[0])
            labels, classes = column.finish()
            translate(labels, classes, classes, f"data.train_split={config.train_split}")
            wanted = np.zeros(len(labels), bool)
            wanted[rows_of(config, "train", labels)] = True

        def stream() -> Iterator[str]:
            start = 0
            for texts, _ in self._rows(*train, config.strip_html):
                here = np.ones(len(texts), bool) if wanted is None else wanted[start : start + len(texts)]
                yield from (text for text, is_train in zip(texts, here, strict=True) if is_train)
                start += len(texts)

        return stream
