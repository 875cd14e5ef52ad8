"""Where rows come from: what every kind of source has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.console.say import counted
from attnpred.data.places import Reach
from attnpred.errors import UserError

MOST_COLUMNS, SHOWN_COLUMNS = 10_000, 20
JOINED = "+"  # between the names of splits that are read one after the other


def refuse_rows(config: DataConfig) -> None:
    """Raises where rows are to be generated of a source that has its own."""
    if config.rows is not None:
        raise UserError(f"data.rows={config.rows}: {config.source} is not generated; set data.rows=null")


class Source(ABC):
    """Rows by split and column, in chunks."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """What the cache knows the source by: changes when its content does."""

    @abstractmethod
    def splits(self) -> list[str]: ...

    @abstractmethod
    def _class_names(self, split: str, column: str) -> list[str] | None: ...

    @abstractmethod
    def _chunks(self, split: str, size: int) -> Iterator[dict[str, list[Any]]]:
        """Rows as column → values, a chunk of at most `size` rows after another."""

    def _chunks_from(self, split: str, size: int, start: int) -> Iterator[dict[str, list[Any]]]:
        """`_chunks` without the first rows, which are read and dropped where the source cannot do better."""
        for chunk in self._chunks(split, size):
            count = len(next(iter(chunk.values()), []))
            if start < count:
                yield {name: values[start:] for name, values in chunk.items()} if start else chunk
            start = max(0, start - count)

    def _joined(self, split: str, size: int, start: int) -> Iterator[dict[str, list[Any]]]:
        """Chunks of a split, or of several, which follow one another: `train+unsupervised`."""
        several = self._several(split)
        if len(several) == 1:
            yield from self._chunks_from(split, size, start)
            return
        for chunk in (chunk for one in several for chunk in self._chunks(one, size)):
            count = len(next(iter(chunk.values()), []))
            if start < count:
                yield {name: values[start:] for name, values in chunk.items()}
            start = max(0, start - count)

    def _several(self, split: str) -> list[str]:
        return [split] if split in self.splits() else split.split(JOINED)

    def class_names(self, split: str, option: str, column: str) -> list[str] | None:
        """Names of the labels' numbers; None where the source has none. `option` is what named the split."""
        self._require(split, option)
        return self._class_names(self._several(split)[0], column)

    def chunks(
        self, split: str, option: str, columns: dict[str, str], size: int, start: int = 0
    ) -> Iterator[list[list[Any]]]:
        """The values of `columns` (option → column), chunk by chunk; `option` is what named the split.

        Rows before number `start` are left out.
        """
        self._require(split, option)
        empty = True
        for chunk in self._joined(split, size, start):
            self._bound(len(chunk))
            for column_option, column in columns.items():
                if column not in chunk:
                    raise UserError(
                        f"{column_option}={column}: {self.config.source} has no such column; it has {listed(chunk)}"
                    )
            empty = False
            yield [chunk[column] for column in columns.values()]
        if empty and not start:
            raise UserError(f"{option}={split}: this split of {self.config.source} has no rows; name another split")

    def chunks_told(self, split: str, option: str, columns: dict[str, str], size: int) -> Iterator[list[list[Any]]]:
        """`chunks`, and how far reading is for whoever waits."""
        self._require(split, option)
        totals = [self._total(one) for one in self._several(split)]
        total = None if None in totals else sum(filter(None, totals))
        return counted(f"reading {split} of {self.config.source}", self.chunks(split, option, columns, size), total)

    def _total(self, split: str) -> int | None:
        """How many rows the split has, where that is known without reading them."""
        return None

    def sample(self, split: str, option: str, count: int) -> dict[str, list[Any]]:
        """The first rows of a split, all of their columns; `option` is what named the split."""
        return next(self.tables(split, option, count), {})

    def tables(self, split: str, option: str, size: int) -> Iterator[dict[str, list[Any]]]:
        """All columns of a split, chunk by chunk; `option` is what named the split."""
        self._require(split, option)
        for chunk in self._joined(split, size, 0):
            self._bound(len(chunk))
            yield chunk

    def file_of(self, split: str, row: int) -> str | None:
        """The file that holds the row, as it is called below the source's directory; None where that is not known."""
        return None

    @property
    @abstractmethod
    def reach(self) -> Reach:
        """Which files its rows may name."""

    def check(self, split: str, option: str, columns: dict[str, str]) -> None:
        """Raises what `chunks` would for a source, split or column that is not there."""
        next(self.chunks(split, option, columns, 1))

    def _bound(self, columns: int) -> None:
        if columns > MOST_COLUMNS:
            raise UserError(
                f"data.source={self.config.source}: has {columns:,} columns, more than {MOST_COLUMNS:,}; keep those "
                "of inputs and targets"
            )

    def _require(self, split: str, option: str) -> None:
        if not set(self._several(split)) <= set(self.splits()):
            raise UserError(f"{option}={split}: {self.config.source} has no such split; it has {listed(self.splits())}")


def listed(names: Iterable[str]) -> str:
    """The first of the names, and how many there are where that is not all."""
    several = list(names)
    rest = f", … ({len(several):,} in all)" if len(several) > SHOWN_COLUMNS else ""
    return ", ".join(map(str, several[:SHOWN_COLUMNS])) + rest
