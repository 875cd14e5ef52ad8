"""Data of texts with a text as the answer, such as translations and summaries: its options and the dataset."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain, compress
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.config.data_options import DataConfig, TokenizerConfig
from attnpred.config.options import Modality
from attnpred.config.schema import Invalid, option
from attnpred.console.say import say
from attnpred.contracts import Batch
from attnpred.data.base import SPLITS, Loader
from attnpred.data.batching import MULTIPLE, BatchLoader, Integers, tokens_at_once
from attnpred.data.splits import Split, carving, source_split
from attnpred.errors import UserError
from attnpred.modalities.text import pair_doubts
from attnpred.modalities.text.data import MOST_TOKENS, TextData
from attnpred.modalities.text.lossless import BEGIN_ID, END_ID, train_lossless
from attnpred.modalities.text.pair_columns import pair_in
from attnpred.modalities.text.rows import Rows, text_rows
from attnpred.modalities.text.text_target import Sentences, padded_tokens, texts_of
from attnpred.modalities.text.tokens import TokenStore, Vocabulary, begun_with, clean, write_tokens

VERSION = 1  # raised when the code makes other files of the same input


@dataclass(kw_only=True)
class PairTokenizerConfig(TokenizerConfig):
    """The tokenizer of both sides, or one of each, trained on the train part."""

    kind: Literal["bpe", "unigram", "word"] = option("Algorithm that finds the vocabulary.")
    shared: bool = option("One vocabulary for both sides; else each has its own.", default=True)


@dataclass(kw_only=True)
class TranslationDataConfig(DataConfig):
    """Options of texts with a text as the answer."""

    modality: ClassVar[Modality] = "text"
    finds_class: ClassVar[bool] = False
    strip_html: ClassVar[bool] = False
    truncate: ClassVar[str] = "head"
    stream: ClassVar[bool] = False
    word_dropout: ClassVar[float] = 0.0

    source_column: str | None = option("Column of the texts that are read. null finds it by name and content.")
    target_column: str | None = option("Column of the texts that answer them. null finds it by name and content.")
    max_length: int = option("Tokens a source is cut to, the end included.", ge=2, le=MOST_TOKENS)
    max_target_length: int = option("Tokens of the longest answer, the end included.", ge=2, le=MOST_TOKENS)
    token_budget: int | None = option(
        "Most tokens a training batch, of sources and targets together, padding included; takes the place of "
        "batch_size. null goes by batch_size.",
        ge=1,
        le=100 * MOST_TOKENS,
        default=None,
    )
    tokenizer: PairTokenizerConfig

    def text_columns(self) -> list[str]:
        return [] if self.source_column is None else [self.source_column]

    def target_columns(self, reads: str) -> tuple[list[str], str] | None:
        found = [] if self.target_column is None else [self.target_column]
        return (found, "data.target_column") if reads == "text" else super().target_columns(reads)

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self | None:
        if self.source_column is not None and self.target_column is not None:
            return self
        source, target = pair_in(sample(), self.source_column, self.target_column, self.source)
        say(f"columns of {self.source}: data.source_column={source}, data.target_column={target}")
        return replace(self, source_column=source, target_column=target)

    def check(self) -> None:
        super().check()
        longest = 2 * max(self.max_length, self.max_target_length) + 16  # with padding
        if self.token_budget is not None and self.token_budget < longest:
            raise Invalid(
                "token_budget", f"too small for a pair of up to {longest} tokens; raise it, or lower max_length"
            )
        if self.source_column is not None and self.source_column == self.target_column:
            raise Invalid("target_column", "is what is read, too; name the column of the answers")
        if self.evidence_column is not None:
            raise Invalid("evidence_column", "tells what decides a label, and texts are none; set it to null")
        if self.sampling == "balanced":
            raise Invalid("sampling", "balances classes, and texts are none; set it to all")


def tell(warning: str | None) -> None:
    """Says it, where there is one."""
    if warning is not None:
        say(warning)


class PairStore(TokenStore):
    """Every row's tokens: the source's, then the target's."""

    def sides(self, rows: Integers) -> NDArray[np.int64]:
        """How many tokens either side of these rows has: (2, rows)."""
        first = rows.astype(np.int64) * self._texts
        ends = np.stack([self._offsets[first + i] for i in range(self._texts + 1)])
        counts: NDArray[np.int64] = np.diff(ends, axis=0)
        return counts


class TranslationData(TextData):
    """A dataset of pairs of texts; a row of its store has the tokens of either side."""

    stored = "pairs"
    config: TranslationDataConfig

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> Loader:
        store, rows, values = self._part(split)
        assert isinstance(store, PairStore)
        reader, spec = self.reader, self._sentences

        def make(positions: Integers) -> Batch:
            chosen = rows[positions].astype(np.int64)
            texts = [store.row(row) for row in chosen]
            targets = {
                "tokens": padded_tokens([target for _, target in texts], spec),
                "text": texts_of(store.targets, values[positions]),
            }
            return self._batch_of([[source] for source, _ in texts], chosen, targets)

        train, longest = split == "train", reader.spec.max_length + spec.max_length
        budget = self.config.token_budget if train else tokens_at_once(self.config.eval_batch_size, longest)
        return BatchLoader(
            make,
            self._lengths(store, rows),
            batch_size=self.config.batch_size,
            token_budget=budget,
            train=train,
            seed=seed,
            rank=rank,
            world=world,
        )

    def check(self) -> None:
        super().check()
        config, spec = self.config, self._sentences
        for split in SPLITS:
            store, rows, place = self._rows_of(split)
            assert isinstance(store, PairStore)
            sources, targets = store.sides(rows)
            room = spec.max_length - len(spec.prefix) - 1
            for counts, most, named in (
                (sources, self.reader.spec.room, f"data.max_length={config.max_length}"),
                (targets, room, f"data.max_target_length={config.max_target_length}"),
            ):
                tell(pair_doubts.cut(counts, most, named, place))
        store, rows, _ = self._rows_of("train")
        few = [store.row(int(row)) for row in rows[: pair_doubts.LOOKED_AT]]
        sides = ((self._vocabulary, "source"), (self._target_vocabulary, "target"))
        for side, (vocabulary, name) in enumerate(sides):
            texts = vocabulary.tokenizer.decode_batch([pair[side].tolist() for pair in few])
            tell(pair_doubts.odd_scripts(texts, f"data.{name}_column={getattr(config, f'{name}_column')}"))

    def _batch_of(self, sources: list[list[NDArray[Any]]], rows: NDArray[Any], targets: dict[str, Tensor]) -> Batch:
        texts = self.reader.collate(sources)
        return Batch(inputs={self.reader.name: texts}, targets=targets, ids=torch.from_numpy(rows))

    def _lengths(self, store: PairStore, rows: NDArray[Any]) -> NDArray[np.int64]:
        """What a pair takes in a batch of its like: twice the longer side, padding of the source included.

        Sides of one length come together so. By their sum an eighth more would be padding, and a batch of one long
        source and one long target could be half as large again as the budget.
        """
        sources, targets = store.sides(rows)
        special = len(self._sentences.prefix) + 1
        target: NDArray[np.int64] = np.minimum(targets + special, self._sentences.max_length)
        return 2 * np.maximum(self.reader.lengths(sources), target) + MULTIPLE - 1

    @property
    def _sentences(self) -> Sentences:
        spec = self.target_spec
        assert isinstance(spec, Sentences)
        return spec

    def _make_target_spec(self) -> Sentences:
        config, vocabulary = self.config, self._target_vocabulary
        if self._tokenizer_source is not None and not vocabulary.suffix:
            raise UserError(
                f"model.source={self._tokenizer_source}: its tokenizer puts no end behind a text, so that no answer "
                "would end; choose a checkpoint whose tokenizer does"
            )
        own = self._tokenizer_source is None
        return Sentences(
            tokenizer=vocabulary.tokenizer_json,
            vocab_size=vocabulary.size,
            unknown_id=vocabulary.unknown_id,
            begin_id=BEGIN_ID if own else vocabulary.pad_id,
            end_id=END_ID if own else vocabulary.suffix[-1],
            prefix=vocabulary.prefix,
            max_length=min(config.max_target_length, vocabulary.max_length or config.max_target_length),
            shared=not own or config.tokenizer.shared,
        )

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        if self._given is not None:
            return self._given.vocabulary
        if self._tokenizer_source is not None:
            return self._checkpoint_vocabulary(self._tokenizer_source)
        if self._begun is not None:
            return begun_with(self._begun.reader)
        return self._trained("both" if self.config.tokenizer.shared else "source")

    @cached_property
    def _target_vocabulary(self) -> Vocabulary:
        if self._given_target is not None:
            return self._sentences.vocabulary
        if self._tokenizer_source is not None or self.config.tokenizer.shared:
            return self._vocabulary
        if self._begun is not None:
            return self._begun_target().vocabulary
        return self._trained("target")

    def _begun_target(self) -> Sentences:
        """The target of the run that the model begins with."""
        found = self._begun.target()
        if not isinstance(found, Sentences) or found.shared != self.config.tokenizer.shared:
            raise UserError(
                f"data.tokenizer.shared={str(self.config.tokenizer.shared).lower()}: the run of model.init_from has "
                "other vocabularies; set it as there, or give another run"
            )
        return found

    def _trained(self, side: Literal["source", "target", "both"]) -> Vocabulary:
        """A vocabulary of the train part's texts on one side, or on both."""
        config = self.config
        key = {
            "version": VERSION,
            "carving": carving(config),
            "tokenizer": asdict(config.tokenizer),
            "side": side,
            **self._key(),
        }

        def build(directory: Path) -> None:
            train_lossless(config.tokenizer, self._texts_on(side)).save(directory)

        train, what = source_split(config, "train"), f"a {config.tokenizer.kind} tokenizer of {side} texts"
        return Vocabulary.load(self._entry("tokenizer", train, self._read_columns(), key, what, build))

    def _texts_on(self, side: str) -> Iterator[str]:
        wanted, start = self._train_rows(), 0
        for (sources,), (targets,), _, _ in self._rows(*source_split(self.config, "train"), self._read_columns()):
            here = [True] * len(sources) if wanted is None else wanted[start : start + len(sources)]
            start += len(sources)
            if side != "target":
                yield from compress(sources, here)
            if side != "source":
                yield from (clean(text, False) for text in compress(targets, here) if isinstance(text, str))

    def _columns(self) -> dict[str, str]:
        return {"data.source_column": self.config.text_columns()[0]}

    def _rows(
        self, name: str, option: str, columns: dict[str, str], strip_html: bool = False, start: int | None = None
    ) -> Iterator[Rows]:
        return text_rows(self.source, self.config, (name, option), columns, 1, strip_html, start)

    def _key(self) -> dict[str, Any]:
        return {**super()._key(), "pairs": VERSION}

    def _prepare(self, name: str, option: str) -> TokenStore:
        vocabulary, target = self._vocabulary, self._target_vocabulary
        key = {
            "version": VERSION,
            "tokenizers": [vocabulary.fingerprint, target.fingerprint],
            "unknown": [vocabulary.unknown_id, target.unknown_id],
            **self._key(),
        }

        def build(directory: Path) -> None:
            self._write(directory, self._rows(name, option, self._all_columns()), name, option)

        return self._opened(self._entry(self.stored, (name, option), self._all_columns(), key, f"split {name}", build))

    def _opened(self, directory: Path) -> PairStore:
        return PairStore(directory)

    def _write(self, directory: Path, rows: Iterator[Rows], name: str, option: str) -> None:
        vocabulary, target = self._vocabulary, self._target_vocabulary

        def ids(texts: list[str]) -> list[list[int]]:
            sides = vocabulary.ids(texts[0::2]), target.ids(texts[1::2])
            return list(chain.from_iterable(zip(*sides, strict=True)))

        def both() -> Iterator[Rows]:
            for sources, targets, evidence, usable in rows:
                answers = [clean(text, False) if isinstance(text, str) else "" for text in targets[0]]
                yield [*sources, answers], targets, evidence, usable

        larger = max(vocabulary, target, key=lambda one: one.size)
        write_tokens(directory, larger, both(), self._collector(name, option), ids=ids)
