"""What every kind of data does alike: find the source, prepare each split once, share rows out, batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.contracts import Batch, InputSpec, TargetSpec
from attnpred.data import arrangement, cache, oddities
from attnpred.data.batching import BatchLoader
from attnpred.data.evidence import EvidenceColumn
from attnpred.data.itself_target import ItselfTarget
from attnpred.data.labelled import FewLabels, labelled
from attnpred.data.oddities import Part
from attnpred.data.open_source import open_source
from attnpred.data.sources import Source
from attnpred.data.splits import ANYHOW, Arrangement, Rows, Split, carving, measured, part_of, source_split, usable_rows
from attnpred.data.store import Store
from attnpred.data.streaming import StreamLoader
from attnpred.data.targets import Stored, Target
from attnpred.errors import BadRow, UserError

Loader = BatchLoader | StreamLoader
CHUNK = 1024  # rows at once
SPLITS: tuple[Split, ...] = ("train", "val", "test")
C = TypeVar("C", bound=DataConfig)
R = TypeVar("R")  # the reader
S = TypeVar("S", bound=Store)


class Data(FewLabels, ABC, Generic[C, R, S]):
    """Batches of one dataset."""

    def __init__(
        self,
        config: C,
        target: Target[Any],
        *,
        tokenizer_source: str | None = None,
        begun: Any = None,
        reader: R | None = None,
        target_spec: TargetSpec | None = None,
    ) -> None:
        """`target`: what the task reads of a row, beside its inputs.

        `tokenizer_source`: hub id or directory of the tokenizer that the model demands. Images ignore it.
        `begun`: the run whose weights the model begins with, so that a token means what it did there.
        `reader`, `target_spec`: a trained model's. With them the train split is needed only to carve others from it.
        """
        self.config, self.target = config, target
        self._tokenizer_source, self._begun = tokenizer_source, begun
        self._given, self._given_target = reader, target_spec
        self._stores: dict[str, S] = {}
        self._arrangements: dict[str, Arrangement] = {}
        self._told: set[str] = set()  # splits whose bad rows were counted

    @cached_property
    def source(self) -> Source:
        return open_source(self.config)

    @cached_property
    def reader(self) -> R:
        """Turns raw input into batches as training does."""
        return self._given if self._given is not None else self._make_reader()

    @property
    @abstractmethod
    def specs(self) -> dict[str, InputSpec]:
        """Of each input, by its name."""

    @cached_property
    def target_spec(self) -> TargetSpec:
        if self._given_target is not None:
            return self._given_target
        if isinstance(self.target, ItselfTarget):
            found: TargetSpec = self.target.of_inputs(self.specs)
            return found
        return self._make_target_spec()

    def _posed(self, batch: Batch) -> Batch:
        """A batch as evaluation and explanations show it: where the input itself is the target, parts are hidden."""
        return self.target.posed(batch, self.target_spec) if isinstance(self.target, ItselfTarget) else batch

    def _make_target_spec(self) -> TargetSpec:
        """The target's specification, from the train part."""
        store, rows, _ = self._rows_of("train")
        found: TargetSpec = self.target.spec(store.targets, rows)
        return found

    @abstractmethod
    def _make_reader(self) -> R:
        """The reader, from the train part."""

    @abstractmethod
    def _columns(self) -> dict[str, str]:
        """Option → column of the source, of the inputs."""

    def _target_columns(self) -> dict[str, str]:
        option, columns = self.target.option, self.target.columns
        return {option if i == 0 else f"{option}[{i}]": column for i, column in enumerate(columns)}

    def _all_columns(self) -> dict[str, str]:
        """Those of the inputs, of the target, and of the evidence where it is asked for."""
        column = self.config.evidence_column
        evidence = {} if column is None else {"data.evidence_column": column}
        return self._columns() | self._target_columns() | evidence

    def _collector(self, name: str, option: str) -> Any:
        """What collects the target columns of the source's split `name`, which `option` named."""
        return self.target.collector([self.source.class_names(name, option, c) for c in self.target.columns])

    @abstractmethod
    def _prepare(self, name: str, option: str) -> S:
        """The source's split `name`, prepared; `option` is what named it."""

    @abstractmethod
    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> Loader: ...

    def augment(self, epochs: int, soften: Callable[[Any], Any] | None = None) -> Callable[[Any, int], Any] | None:
        """What changes the batches of each of so many epochs, on the device where they are; None where nothing does.

        `soften` gives targets the form in which two can be averaged; None where the task's cannot be.
        """
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

    def size(self) -> int:
        """Bytes on disk of the splits that are open; they come into memory as they are read."""
        return sum(store.size for store in self._stores.values())

    def _store(self, split: Split) -> S:
        """The prepared split of the source that holds `split`."""
        name, option = source_split(self.config, split)
        if name not in self._stores:
            self._stores[name] = self._prepare(name, option)
        return self._stores[name]

    def _rows_of(self, split: Split) -> tuple[S, Rows, str]:
        """The store that holds `split`, which of its rows, and the option and value that named it.

        Of train those that keep their labels, of test those that are measured.
        """
        store, rows, place = self._all_rows_of(split)
        if split == "train" and self.config.labelled is not None:
            rows = labelled(rows, self.target.strata(store.targets, rows), self.config)
        elif split == "test" and self.config.test_limit is not None:
            rows = measured(rows, self.target.strata(store.targets, rows), self.config, place, self._told)
        return store, rows, place

    def _all_rows_of(self, split: Split) -> tuple[S, Rows, str]:
        """As `_rows_of`, with the rows whose labels are kept back."""
        name, option = source_split(self.config, split)
        store, place = self._store(split), f"{option}={name}"
        good = self._good(store.targets, name, option)
        self._tell_skipped(place, store, len(store.targets.values) - len(good))
        return store, self._chosen(store.targets, good, split), place

    def _good(self, stored: Stored, name: str, option: str) -> Rows:
        """The rows of the source's split `name` that can be used; where none may be skipped, all of them."""
        if self.config.on_bad_row == "fail":
            with self._naming_file(name):
                self.target.require(stored, f"{option}={name}")
            return np.arange(len(stored.values), dtype=np.uint32)
        good = usable_rows(self.target.usable(stored), self._arrangement(name, option))
        if not len(good):
            raise none_good(f"{option}={name}")
        return good

    def _chosen(self, stored: Stored, good: Rows, split: Split) -> Rows:
        """Which of a source's usable rows make up `split`."""
        # by what the source itself says, which does not change with the model that looks at it
        strata, bound = self.target.strata(stored, good), self._arrangement(*source_split(self.config, split))
        return part_of(good, self.config, split, strata, bound)

    def originals(self, split: Split) -> Iterator[list[Any]]:
        """The inputs' columns of each row of `split`, in its order, as the source has them."""
        name, option = source_split(self.config, split)
        wanted = self._rows_of(split)[1]
        kept: dict[int, list[Any]] = {}
        places, start = set(wanted.tolist()), 0
        for chunk in self.source.chunks(name, option, self._columns(), CHUNK):
            kept |= {row: list(one) for row, one in enumerate(zip(*chunk, strict=True), start) if row in places}
            start += len(chunk[0])
        return (kept[row] for row in wanted.tolist())

    def _arrangement(self, name: str, option: str) -> Arrangement:
        """Groups or times of the rows of the source's split `name`, where it is carved by them."""
        columns = arrangement.column_of(self.config)
        if not columns or name != self.config.train_split or not carving(self.config):
            return ANYHOW
        if name not in self._arrangements:
            self._arrangements[name] = arrangement.arranged(self._numbers(name, option), self.config)
        return self._arrangements[name]

    def _numbers(self, name: str, option: str, *, everywhere: bool = False) -> NDArray[Any]:
        """What binds or orders the rows of the source's split `name`, a number each; see `arrangement.collected`."""
        columns = arrangement.column_of(self.config)

        def build(directory: Path) -> None:
            chunks = self.source.chunks(name, option, columns, arrangement.CHUNK)
            found = arrangement.collected(self.config, chunks, f"{option}={name}", everywhere=everywhere)
            arrangement.write(directory, found)

        skipping = {} if self.config.on_bad_row == "fail" else {"on_bad_row": "skip"}
        alike = {"everywhere": True} if everywhere and self.config.group_column is not None else {}
        key = {"version": arrangement.VERSION, "options": list(columns), **skipping, **alike}
        what = f"{next(iter(columns.values()))} of split {name}"
        return arrangement.read(self._entry("arrangement", (name, option), columns, key, what, build))

    def check(self) -> None:
        """Raises where the parts do not fit one another, and tells of likely faults, before training."""
        self._check_apart()
        oddities.tell(list(self.parts()))

    def _check_apart(self) -> None:
        """Raises where what a column binds or orders is not so over the splits that the source itself has."""
        places = {split: source_split(self.config, split) for split in SPLITS}
        if not arrangement.column_of(self.config) or len({name for name, _ in places.values()}) == 1:
            return
        sides = []
        for split, (name, option) in places.items():
            numbers = self._numbers(name, option, everywhere=True)
            streamed = split == "train" and self.config.streams()
            rows = np.arange(len(numbers)) if streamed else self._rows_of(split)[1]
            sides.append(arrangement.Side(split, name, rows, numbers[rows]))
        arrangement.require_apart(self.config, sides)

    def _part(self, split: Split) -> tuple[S, Rows, NDArray[Any]]:
        """The store that holds `split`, which of its rows, and their targets in the model's terms."""
        store, rows, place = self._rows_of(split)
        values = self.target.adapted(store.targets, rows, self.target_spec, place)
        if split == "train" and self._given_target is None:
            self.target.check_varied(values, self.target_spec, place)
        return store, *(self._with_unlabelled(rows, values) if split == "train" else (rows, values))

    def parts(self) -> Iterator[Part]:
        """The content of train, val and test, in the source's own terms; nothing of rows that are read as they come."""
        for split in SPLITS[self.config.streams() :]:
            store, rows, place = self._rows_of(split)
            digests = store.digests()
            counts = self.target.counts(store.targets, rows)
            name, _ = source_split(self.config, split)
            yield Part(split, name, place, rows, counts, None if digests is None else digests[rows])

    def _draw_weights(self, split: Split, values: NDArray[Any]) -> NDArray[Any] | None:
        """How often training draws each row, relative to others; None where all are drawn alike."""
        if split != "train" or self.config.sampling == "all":
            return None
        return self.target.weights(values, self.target_spec)

    def _tell_skipped(self, place: str, store: S, count: int) -> None:
        whole = len(store.targets.values)
        if count and place not in self._told:
            self._told.add(place)
            known = "; ".join(store.about.get("bad", []))
            say(f"warning: {place}: skips {count:,} of {whole:,} rows{f' ({known}, …)' if known else ''}")

    def _key(self) -> dict[str, Any]:
        """What an entry of the cache is known by, beside its inputs."""
        skipping = {} if self.config.on_bad_row == "fail" else {"on_bad_row": "skip"}
        return {"target": self.target.key(), **skipping}


def none_good(place: str) -> UserError:
    return UserError(f"{place}: every row is bad; see what data.on_bad_row=fail says of the first")
