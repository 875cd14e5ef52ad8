"""What every kind of data does alike: find the source, prepare each split once, share rows out, batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.data import cache
from attnpred.data.batching import BatchLoader
from attnpred.data.evidence import EvidenceColumn
from attnpred.data.labels import MISSING, Labels, translate
from attnpred.data.sources import Source, open_source
from attnpred.data.splits import Rows, Split, rows_of, source_split
from attnpred.data.store import Store
from attnpred.errors import BadRow, UserError

C = TypeVar("C", bound=DataConfig)
R = TypeVar("R")  # the reader
S = TypeVar("S", bound=Store)


class Data(ABC, Generic[C, R, S]):
    """Batches of one dataset."""

    def __init__(self, config: C, *, tokenizer_source: str | None = None, reader: R | None = None) -> None:
        """`tokenizer_source`: hub id or directory of the tokenizer that the model demands, of no meaning to images.

        `reader`: a trained model's; with it the train split is needed only where another is carved from it.
        """
        self.config = config
        self._tokenizer_source = tokenizer_source
        self._given = reader
        self._stores: dict[str, S] = {}
        self._told: set[str] = set()  # splits whose bad rows were counted

    @cached_property
    def source(self) -> Source:
        return open_source(self.config)

    @cached_property
    def reader(self) -> R:
        """Turns raw input into batches as training does."""
        return self._given if self._given is not None else self._make_reader()

    @abstractmethod
    def _make_reader(self) -> R:
        """The reader, from the train part."""

    @abstractmethod
    def _columns(self) -> dict[str, str]:
        """Option → column of the source, the example's first and the label's second."""

    def _all_columns(self) -> dict[str, str]:
        """`_columns`, and third that of the evidence where it is asked for."""
        column = self.config.evidence_column
        return self._columns() | ({} if column is None else {"data.evidence_column": column})

    @abstractmethod
    def _prepare(self, name: str, option: str) -> S:
        """The source's split `name`, prepared; `option` is what named it."""

    @abstractmethod
    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader[Any]: ...

    def augment(self, epochs: int) -> Callable[[Any, int], Any] | None:
        """What changes the batches of each of so many epochs, on the device where they are; None where nothing does."""
        return None

    def _entry(
        self,
        kind: str,
        split: tuple[str, str],
        columns: dict[str, str],
        key: dict[str, Any],
        what: str,
        build: Callable[[Path], None],
    ) -> Path:
        """An entry of the cache, made of `columns` of the source's `split` (its name, and the option that named it)."""
        known = {"source": self.source.fingerprint, "split": split[0], "columns": list(columns.values()), **key}
        what = f"{what} of {self.config.source}"
        with self._naming_file(split[0]):
            return cache.entry(
                self.config.cache_dir, kind, known, what, lambda: self.source.check(*split, columns), build
            )

    @contextmanager
    def _naming_file(self, split: str) -> Iterator[None]:
        """Adds to what is wrong with a row of the source's split the file that holds it, where that is known."""
        try:
            yield
        except BadRow as error:
            file = self.source.file_of(split, error.row)
            raise UserError(f"{error} (in {file})" if file else str(error)) from error

    def _evidence(self, name: str, option: str) -> EvidenceColumn | None:
        """What reads the evidence of the source's split `name`, which `option` named; None where none is asked for."""
        column = self.config.evidence_column
        return None if column is None else EvidenceColumn(column, f"{option}={name}")

    def _store(self, split: Split) -> S:
        """The prepared split of the source that holds `split`."""
        name, option = source_split(self.config, split)
        if name not in self._stores:
            self._stores[name] = self._prepare(name, option)
        return self._stores[name]

    def _part(self, split: Split, classes: tuple[str, ...]) -> tuple[S, Rows, Labels]:
        """The store that holds `split`, which of its rows, and all the store's labels, numbers among `classes`."""
        name, option = source_split(self.config, split)
        store = self._store(split)
        place, own = f"{option}={name}", store.labels
        if self.config.on_bad_row == "fail":
            with self._naming_file(name):
                labels = translate(own, store.classes, classes, place)
            # carved by the source's own numbers, which do not change with the model that looks at them
            return store, self._some(split, rows_of(self.config, split, own), labels, classes, place), labels
        good = np.flatnonzero((own >= 0) & (own < len(store.classes))).astype(np.uint32)
        self._tell_skipped(place, store, len(own) - len(good))
        labels = np.full(len(own), MISSING, np.int32)
        labels[good] = translate(own[good], store.classes, classes, place)
        return store, self._some(split, good[rows_of(self.config, split, own[good])], labels, classes, place), labels

    def _some(self, split: Split, rows: Rows, labels: Labels, classes: tuple[str, ...], place: str) -> Rows:
        """The rows, of which those to learn from must be of more than one class."""
        if split == "train" and self._given is None and len(only := np.unique(labels[rows])) == 1:
            raise UserError(
                f"{place}: every row has the label {classes[only[0]]}, from which nothing can be learned; give rows of "
                f"other classes, or choose another column than data.label_column={self.config.label_column}"
            )
        return rows

    def _tell_skipped(self, place: str, store: S, count: int) -> None:
        if count == len(store.labels):
            raise UserError(f"{place}: every row is bad; see what data.on_bad_row=fail says of the first")
        if count and place not in self._told:
            self._told.add(place)
            known = "; ".join(store.about.get("bad", []))
            say(f"warning: {place}: skips {count:,} of {len(store.labels):,} rows{f' ({known}, …)' if known else ''}")

    def _skipping(self) -> dict[str, str]:
        """What an entry of the cache is known by, beside all else, where bad rows are skipped."""
        return {} if self.config.on_bad_row == "fail" else {"on_bad_row": "skip"}
