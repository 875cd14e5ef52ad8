"""Text data: its options and the dataset."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache as cached
from functools import cached_property, partial
from itertools import compress, islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.config.data_options import NEEDS_ALL, StreamedDataConfig, TokenizerConfig
from attnpred.config.options import Modality
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Batch, InputSpec, TargetSpec
from attnpred.data import cache
from attnpred.data.base import Data, Loader
from attnpred.data.batching import BatchLoader, Integers, tokens_at_once
from attnpred.data.itself_target import ItselfTarget
from attnpred.data.places import files_digest
from attnpred.data.splits import Split, carving, source_split
from attnpred.data.stream import refuse_carving
from attnpred.errors import UserError
from attnpred.machine.hub import locate
from attnpred.modalities.text.augment import drop_words
from attnpred.modalities.text.batch import TextSpec
from attnpred.modalities.text.packing import packed
from attnpred.modalities.text.reader import TextReader
from attnpred.modalities.text.rows import CHUNK, Rows, text_rows
from attnpred.modalities.text.streamed import TextStream
from attnpred.modalities.text.tokenizer_training import train_vocabulary
from attnpred.modalities.text.tokens import (
    PLACE,
    TokenStore,
    Vocabulary,
    begun_with,
    checkpoint_vocabulary,
    write_tokens,
)

# raised when the code makes other files of the same input
VOCABULARY_VERSION, TOKENS_VERSION = 4, 5
MOST_TOKENS = 10_000_000  # beyond, a length can only be a mistake


@dataclass(kw_only=True)
class TextDataConfig(StreamedDataConfig):
    """Options of text data."""

    modality: ClassVar[Modality] = "text"

    text_column: str | list[str] | None = option(
        "Column that holds the text. Several are read together as one sequence, each by its column's name. null finds "
        "it by name and content."
    )
    strip_html: bool = option("Turn <br /> into line breaks and entities such as &amp; into characters.", default=False)
    max_length: int = option("Tokens a text is cut to, special ones included.", ge=1, le=MOST_TOKENS)
    truncate: Literal["head", "tail", "both"] = option(
        "Part of a longer text that is kept; both: half from either end.", default="both"
    )
    word_dropout: float = option("Share of a training text's tokens that are made unknown.", ge=0, lt=1, default=0.0)
    token_budget: int | None = option(
        "Most tokens a training batch, padding included; takes the place of batch_size. null goes by batch_size.",
        ge=1,
        le=100 * MOST_TOKENS,
        default=None,
    )
    tokenizer: TokenizerConfig

    def check(self) -> None:
        super().check()
        if self.stream and self.token_budget is not None:
            raise Invalid("token_budget", NEEDS_ALL)
        if self.token_budget is not None and self.token_budget < self.max_length:
            raise Invalid(
                "token_budget", f"too small for one text of max_length={self.max_length}; raise it or lower that"
            )
        if len(set(self.text_columns())) < len(self.text_columns()) or self.text_column in ("", []):
            raise Invalid("text_column", "must name one column, or several different ones")
        if self.max_length < len(self.text_columns()):
            raise Invalid("max_length", f"too small for {len(self.text_columns())} texts; raise it")
        if self.evidence_column is not None and len(self.text_columns()) > 1:
            raise Invalid("evidence_column", "marks places in one text; name one text_column, or set this to null")
        if self.token_budget is not None and self.sampling == "balanced":
            raise Invalid("sampling", "balances batches of equally many texts; set data.token_budget=null")
        if self.evidence_column is not None and self.strip_html:
            raise Invalid("evidence_column", "counts the raw text's characters; set data.strip_html=false")

    def text_columns(self) -> list[str]:
        return [self.text_column] if isinstance(self.text_column, str) else list(self.text_column or [])


class TextData(Data[TextDataConfig, TextReader, TokenStore]):
    """A dataset of texts."""

    stored: ClassVar[str] = "tokens"  # kind of its entries in the cache

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {self.reader.name: self.reader.spec}

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> Loader:
        if split == "train" and self.config.stream:
            return TextStream(self).loader(seed=seed, rank=rank, world=world)
        store, rows, values = self._part(split)
        reader = self.reader

        def make(positions: Integers) -> Batch:
            return self._batch(store, rows[positions].astype(np.int64), self.target.tensors(values[positions]))

        def posed(positions: Integers) -> Batch:
            return self._posed(make(positions))

        def pack(positions: Integers) -> Batch:
            return packed([store.row(row)[0] for row in rows[positions]], rows[positions], reader)

        train, longest = split == "train", reader.spec.max_length
        packs = train and isinstance(self.target, ItselfTarget) and self.target.packs and not reader.spec.names
        return BatchLoader(
            pack if packs else make if train else posed,
            np.ones(len(rows), np.uint8) if packs else reader.lengths(store.lengths(rows)),
            batch_size=self.config.batch_size,
            token_budget=self.config.token_budget if train else tokens_at_once(self.config.eval_batch_size, longest),
            train=train,
            weights=self._draw_weights(split, values),
            sampled=posed,
            seed=seed,
            rank=rank,
            world=world,
        )

    def _make_target_spec(self) -> TargetSpec:
        return TextStream(self).target_spec() if self.config.stream else super()._make_target_spec()

    def train_rows_from(self, start: int) -> Iterator[Rows]:
        """The rows of the source's train split from a number on."""
        return self._rows(*source_split(self.config, "train"), self._read_columns(), self.config.strip_html, start)

    def _batch(self, store: TokenStore, rows: NDArray[np.int64], targets: dict[str, Tensor]) -> Batch:
        texts = self.reader.collate([store.row(row) for row in rows], store.evidence(rows))
        return Batch(inputs={self.reader.name: texts}, targets=targets, ids=torch.from_numpy(rows))

    def augment(self, epochs: int, soften: Callable[[Any], Any] | None = None) -> Callable[[Batch, int], Batch] | None:
        share = self.config.word_dropout
        return partial(drop_words, share=share, unknown_id=self.reader.vocabulary.unknown_id) if share else None

    def _make_reader(self) -> TextReader:
        config, vocabulary = self.config, self._vocabulary
        columns = config.text_columns()
        names = tuple(columns) if len(columns) > 1 else ()
        special = len(vocabulary.prefix) + len(vocabulary.suffix) + (len(columns) - 1) * len(vocabulary.between)
        max_length = min(config.max_length, vocabulary.max_length or config.max_length)
        if max_length < special + len(columns):
            raise UserError(
                f"data.max_length={config.max_length}: leaves no room beside {special} special tokens; raise it"
            )
        spec = TextSpec(
            vocab_size=vocabulary.size,
            max_length=max_length,
            pad_id=vocabulary.pad_id,
            mask_id=vocabulary.unknown_id if vocabulary.mask_id is None else vocabulary.mask_id,
            prefix=vocabulary.prefix,
            suffix=vocabulary.suffix,
            names=names,
            between=vocabulary.between if names else (),
        )
        return TextReader(spec, vocabulary, strip_html=config.strip_html, truncate=config.truncate)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        if self._given is not None:
            return self._given.vocabulary
        if self._begun is not None:
            return begun_with(self._begun.reader)
        if self._tokenizer_source is not None:
            return self._checkpoint_vocabulary(self._tokenizer_source)
        config = self.config
        masks = isinstance(self.target, ItselfTarget)
        key: dict[str, Any] = {
            "version": VOCABULARY_VERSION,
            "carving": carving(config),
            "strip_html": config.strip_html,
            "tokenizer": asdict(config.tokenizer),
            **({"first": config.stream_buffer} if config.stream else {}),
            **({"masks": True} if masks else {}),
            **self._key(),
        }

        def build(directory: Path) -> None:
            train_vocabulary(config.tokenizer, self._train_texts(), masks=masks).save(directory)

        train, what = source_split(config, "train"), f"a {config.tokenizer.kind} tokenizer"
        return Vocabulary.load(
            self._entry("tokenizer", train, self._columns() | self._target_columns(), key, what, build)
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
        columns = self.config.text_columns()
        return {"data.text_column" if i == 0 else f"data.text_column[{i}]": name for i, name in enumerate(columns)}

    def _read_columns(self) -> dict[str, str]:
        return self._columns() | self._target_columns()

    def _prepare(self, name: str, option: str) -> TokenStore:
        config, vocabulary, columns = self.config, self._vocabulary, self._all_columns()
        strip_html = self._given.strip_html if self._given is not None else config.strip_html
        texts = len(config.text_columns())
        if self._given is not None and texts != (len(self._given.spec.names) or 1):
            raise UserError(
                f"data.text_column={config.text_column}: the model does not read {texts} texts; name as many"
            )
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
            **self._key(),
        }

        def build(directory: Path) -> None:
            self._write(directory, self._rows(name, option, columns, strip_html), name, option)

        return self._opened(self._entry(self.stored, (name, option), columns, key, f"split {name}", build))

    def _write(self, directory: Path, rows: Iterator[Rows], name: str, option: str) -> None:
        """Puts into an entry of the cache what `_opened` reads."""
        collector, evidence = self._collector(name, option), self._evidence(name, option)
        write_tokens(directory, self._vocabulary, rows, collector, evidence)

    def _opened(self, directory: Path) -> TokenStore:
        return TokenStore(directory)

    def _rows(
        self, name: str, option: str, columns: dict[str, str], strip_html: bool, start: int | None = None
    ) -> Iterator[Rows]:
        return text_rows(self.source, self.config, (name, option), columns, len(self.target.columns), strip_html, start)

    def _train_rows(self) -> NDArray[np.bool_] | None:
        """Which rows of the source's split belong to the train part; None where all do."""
        config = self.config
        if not carving(config) and config.on_bad_row == "fail":
            return None
        train = source_split(config, "train")
        collector = self._collector(*train)
        if config.on_bad_row == "skip" or not self.target.columns:  # then the texts say which rows count, too
            for texts, targets, _, usable in self._rows(*train, self._read_columns(), config.strip_html):
                collector.add_rows(len(texts[0]), targets, usable)
        else:
            for targets in self.source.chunks(*train, self._target_columns(), CHUNK):
                collector.add(targets)
        stored = collector.finish()
        wanted = np.zeros(len(stored.values), bool)
        wanted[self._chosen(stored, self._good(stored, *train), "train")] = True
        return wanted

    def _train_texts(self) -> Iterator[str]:
        """The texts of the train part, one after the other."""
        config = self.config
        if config.stream:
            refuse_carving(config)
        wanted = self._train_rows()
        # a chunk more than the buffer has rows at most
        most = -(-config.stream_buffer // CHUNK) if config.stream else None
        start = 0
        chunks = self._rows(*source_split(config, "train"), self._read_columns(), config.strip_html)
        for columns, _, _, _ in islice(chunks, most):
            count = len(columns[0])
            here = np.ones(count, bool) if wanted is None else wanted[start : start + count]
            for column in columns:
                yield from compress(column, here)
            start += count
