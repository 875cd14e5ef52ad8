"""Data of whole series: a row a series, which has one answer; its options and the dataset."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.config.options import DataConfig, Modality
from attnpred.config.schema import Invalid, option
from attnpred.console.say import say
from attnpred.contracts import Batch, InputSpec
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.future_target import FutureTarget
from attnpred.data.splits import Split
from attnpred.data.store import Store, save_store
from attnpred.errors import BadRow, UserError
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.modalities.series.data import MOST_MOMENTS
from attnpred.modalities.series.fitted import fitted
from attnpred.modalities.series.reader import SeriesReader
from attnpred.modalities.series.sound import Sound

VERSION = 1  # raised when the code makes other files of the same input
CHUNK = 256  # series in memory at once
VALUES, OFFSETS = "values.npy", "offsets.npy"
Found = NDArray[np.float32]  # (moments, variables)


@dataclass(kw_only=True)
class WholeSeriesConfig(DataConfig):
    """Options of whole series."""

    modality: ClassVar[Modality] = "series"

    columns: list[str] | None = option(
        "Columns that are read, a variable each, of lists of numbers: a series a row. null takes all columns of lists."
    )
    length: int | None = option(
        "Moments that a model reads: of a longer series the last ones; a shorter one begins with the mean. With null "
        "they are as many as the longest of the train part has.",
        ge=1,
        le=MOST_MOMENTS,
        default=None,
    )

    def check(self) -> None:
        super().check()
        if self.evidence_column is not None:
            raise Invalid("evidence_column", "is not read for series; set it to null")
        if self.columns is not None and len(set(self.columns)) < max(len(self.columns), 1):
            raise Invalid("columns", "must name one column, or several different ones")

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self | None:
        if self.columns is not None:
            return None
        targets, _ = self.target_columns(reads) or ([], "")
        found = [name for name, values in sample().items() if name not in targets and _are_lists(values)]
        if not found:
            raise UserError(f"data.columns: {self.source} has no column of lists of numbers; name those that are read")
        say(f"columns of {self.source}: data.columns=[{','.join(found)}]")
        return replace(self, columns=found)

    def sound(self) -> Sound | None:
        """How sounds become series; None where rows hold series themselves."""
        return None


class WholeStore(Store):
    """Series one after the other."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.values = np.load(directory / VALUES, allow_pickle=False, mmap_mode="r")  # (moments of all, variables)
        self.offsets = np.load(directory / OFFSETS, allow_pickle=False)  # (series + 1,)

    def row(self, number: int) -> Found:
        """(moments, variables)"""
        found: Found = self.values[self.offsets[number] : self.offsets[number + 1]]
        return found


class WholeSeries(Data[WholeSeriesConfig, SeriesReader, WholeStore]):
    """A dataset of series with an answer each, brought to one length."""

    def __init__(self, config: WholeSeriesConfig, target: Any, **given: Any) -> None:
        super().__init__(config, target, **given)
        if isinstance(target, FutureTarget):
            raise UserError(
                f"data={config.name}: its rows are whole series; set data=series to forecast, or another task"
            )

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {self.reader.name: self.reader.spec}

    def _columns(self) -> dict[str, str]:
        return {f"data.columns[{i}]": name for i, name in enumerate(self.config.columns or ())}

    def _series(self, values: Sequence[Any]) -> Found:
        """A row's series, from what its columns hold; ValueError for what is none."""
        several = [np.asarray(value, np.float32) for value in values]
        if len({one.shape for one in several}) > 1 or several[0].ndim not in (1, 2) or not several[0].size:
            raise ValueError("has no lists of numbers, of one length in all columns")
        if several[0].ndim == 2 and len(several) > 1:
            raise ValueError("has lists of lists in several columns; name one such column, or columns of plain lists")
        found: Found = several[0] if several[0].ndim == 2 else np.stack(several, 1)
        if np.isinf(found).any():
            raise ValueError("has an infinite value")
        return found

    def _names(self, variables: int) -> tuple[str, ...]:
        named = self.config.columns or []
        return tuple(named) if len(named) == variables else tuple(f"{named[0]}[{i}]" for i in range(variables))

    def _key_of_rows(self) -> dict[str, Any]:
        """What rows' series depend on, beside the source."""
        return {}

    def _prepare(self, name: str, option: str) -> WholeStore:
        columns = self._all_columns()
        key = {"version": VERSION, **self._key_of_rows(), **self._key()}

        def build(directory: Path) -> None:
            targets, kept, count = self._collector(name, option), [], len(self._columns())
            row = 0
            for chunk in self.source.chunks_told(name, option, columns, CHUNK):
                usable: list[bool] = []
                for values in zip(*chunk[:count], strict=True):
                    found = self._row(values, row + len(usable), f"{option}={name}")
                    usable.append(found is not None)
                    kept.append(found)
                targets.add_rows(len(usable), chunk[count:], usable if self.config.on_bad_row == "skip" else None)
                row += len(usable)
            _write(directory, kept, f"{option}={name}")
            save_store(directory, targets.finish())

        return WholeStore(self._entry("whole_series", (name, option), columns, key, f"split {name}", build))

    def _row(self, values: Sequence[Any], row: int, place: str) -> Found | None:
        """None for a bad row that may be skipped."""
        try:
            return self._series(values)
        except (TypeError, ValueError, OSError) as error:
            if self.config.on_bad_row == "skip":
                return None
            column = ",".join(self.config.columns or ())
            reason = str(error) if isinstance(error, ValueError | OSError) else "has no numbers"
            raise BadRow(
                f"data.columns={column}: row {row} of {place} {reason}; mend it, or set data.on_bad_row=skip", row
            ) from None

    def _make_reader(self) -> SeriesReader:
        store, rows, _ = self._all_rows_of("train")
        total = np.zeros((3, store.values.shape[1]))  # how many, their sum and squared sum
        longest = 1
        for number in rows:
            series = store.row(int(number)).astype(np.float64)
            known = np.isfinite(series)
            clean = np.where(known, series, 0)
            total += np.stack((known.sum(0), clean.sum(0), np.square(clean).sum(0)))
            longest = max(longest, len(series))
        mean = total[1] / np.maximum(total[0], 1)
        deviation = np.sqrt(np.maximum(total[2] / np.maximum(total[0], 1) - mean**2, 0))
        spec = SeriesSpec(
            length=self.config.length or longest,
            names=self._names(len(mean)),
            mean=tuple(mean.tolist()),
            deviation=tuple(np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0).tolist()),
        )
        return SeriesReader(spec, whole=True, sound=self.config.sound())

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader:
        store, rows, values = self._part(split)
        spec = self.reader.spec

        def make(positions: Integers) -> Batch:
            chosen = rows[positions].astype(np.int64)
            series = torch.from_numpy(np.stack([fitted(store.row(int(row)), spec) for row in chosen]))
            return Batch(
                inputs={self.reader.name: SeriesInput(values=series)},
                targets=self.target.tensors(values[positions]),
                ids=torch.from_numpy(chosen),
            )

        def posed(positions: Integers) -> Batch:
            return self._posed(make(positions))

        train = split == "train"
        return BatchLoader(
            make if train else posed,
            np.ones(len(rows), np.uint8),
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            train=train,
            weights=self._draw_weights(split, values),
            sampled=posed,
            seed=seed,
            rank=rank,
            world=world,
        )


def _write(directory: Path, kept: Sequence[Found | None], place: str) -> None:
    """A row that is skipped keeps its place, and is empty."""
    widths = {found.shape[1] for found in kept if found is not None}
    if len(widths) > 1:
        raise UserError(
            f"{place}: some series have {min(widths)} variables, some {max(widths)}; give every row as many"
        )
    empty = np.zeros((0, widths.pop() if widths else 1), np.float32)
    series = [empty if found is None else found for found in kept]
    np.save(directory / VALUES, np.concatenate(series))
    np.save(directory / OFFSETS, np.cumsum([0, *map(len, series)]))


def _are_lists(values: Iterator[Any] | list[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, list) for value in given)
