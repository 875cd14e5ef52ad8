"""Data of series: its options, and the dataset of windows that are cut from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch

from attnpred.config.options import DataConfig, Modality
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Batch, InputSpec
from attnpred.data.base import SPLITS, Data
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.future_target import Future, FutureTarget
from attnpred.data.itself_target import ItselfTarget
from attnpred.data.oddities import Part
from attnpred.data.splits import Split, measured, source_split
from attnpred.data.targets import Stored
from attnpred.errors import UserError
from attnpred.modalities.series import parts, times
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.modalities.series.columns import settled_by
from attnpred.modalities.series.reader import SeriesReader
from attnpred.modalities.series.store import SeriesStore, Windows, in_sample_scale, origins, write_series
from attnpred.modalities.series.table import Columns, Wrong, read

VERSION = 1  # raised when the code makes other files of the same input
CHUNK = 10_000
MOST_MOMENTS = 1_000_000


@dataclass(kw_only=True)
class SeriesDataConfig(DataConfig):
    """Options of series, of which windows are read."""

    modality: ClassVar[Modality] = "series"
    finds_class: ClassVar[bool] = False

    columns: list[str] | None = option("Columns that are read, a variable each; null takes all columns of numbers.")
    series_column: str | None = option(
        "Column that names each row's series, where a table holds several; null: it holds one.", default=None
    )
    known_columns: list[str] = option(
        "Columns of numbers that are known for the moments to come too, such as the hour or a holiday.", default=[]
    )
    static_columns: list[str] = option("Columns of numbers that hold for a whole series, such as its size.", default=[])
    history: int = option("Moments that a model reads.", ge=1, le=MOST_MOMENTS)
    stride: int = option("Moments between the beginnings of training's windows.", ge=1, le=MOST_MOMENTS, default=1)
    split_rows: list[int] | None = option(
        "Moments of each series in train, validation and test, from the first on. null takes val_fraction and "
        "test_fraction of the last ones.",
        ge=1,
        default=None,
    )
    gap: int | Literal["horizon"] = option(
        "Moments that are left out between the parts; horizon leaves out as many as a forecast has.",
        ge=0,
        le=MOST_MOMENTS,
        default=0,
    )
    gaps: Literal["fail", "fill"] = option(
        "What becomes of moments that lack: an error, or missing values in their place.", default="fail"
    )

    def check(self) -> None:
        super().check()
        if self.split_rows is not None and len(self.split_rows) != 3:
            raise Invalid("split_rows", "needs three numbers, of train, validation and test")
        if self.split_rows is not None and self.folds is not None:
            raise Invalid("folds", "cuts what is before the test part by itself; set data.split_rows=null")
        if self.label_column is not None:
            raise Invalid(
                "label_column", "windows of a series have no label; set it to null, or take data=whole_series"
            )
        for name in ("group_column", "evidence_column"):
            if getattr(self, name) is not None:
                raise Invalid(name, "is not for windows of series, which time alone orders; set it to null")
        if self.on_bad_row != "fail":
            raise Invalid(
                "on_bad_row", "a series without some of its rows is another; set it to fail, or data.gaps=fill"
            )
        if self.labelled is not None:
            raise Invalid("labelled", "windows of series have no labels; set it to null")
        if self.sampling != "all":
            raise Invalid("sampling", "windows have no classes to balance; set it to all")
        several = [*(self.columns or []), *self.known_columns, *self.static_columns]
        if len(set(several)) < len(several):
            raise Invalid("columns", "names a column twice, or one that is known ahead or static too")

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self:
        return settled_by(self, sample)

    def parts(self) -> Columns:
        return Columns(
            (*(self.columns or ()), *self.known_columns, *self.static_columns), self.time_column, self.series_column
        )


class SeriesData(Data[SeriesDataConfig, SeriesReader, SeriesStore]):
    """Windows of series: what a model reads, and the moments behind it, which it forecasts.

    A part's forecasts lie within it; what is read for them may reach back into the part before.
    """

    def __init__(self, config: SeriesDataConfig, target: Any, **given: Any) -> None:
        super().__init__(config, target, **given)
        if not isinstance(target, FutureTarget | ItselfTarget):
            raise UserError(f"data={config.name}: its windows are forecast; set task=forecasting")
        self.steps = target.steps if isinstance(target, FutureTarget) else 0  # that are forecast
        self._windows: dict[str, Windows] = {}

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {self.reader.name: self.reader.spec}

    def _columns(self) -> dict[str, str]:
        return self.config.parts().named()

    def _target_columns(self) -> dict[str, str]:
        """They are among the inputs'."""
        return {}

    def _prepare(self, name: str, option: str) -> SeriesStore:
        config, columns = self.config, self._columns()
        key = {"version": VERSION, "options": list(columns), "gaps": config.gaps}

        def build(directory: Path) -> None:
            chunks = self.source.chunks(name, option, columns, CHUNK)
            try:
                table = read(chunks, config.parts(), fill=config.gaps == "fill")
            except Wrong as error:
                shown = columns.get(error.option, error.option)
                raise UserError(
                    f"{error.option}{'=' + shown if error.option in columns else ''}: {error} ({option}={name} of "
                    f"{config.source})"
                ) from None
            write_series(directory, table, Stored(np.zeros((len(table.values), 0)), {}))

        return SeriesStore(self._entry("series", (name, option), columns, key, f"split {name}", build))

    def _spans(self, split: Split) -> list[parts.Span]:
        """Where the part lies in each series of the store that holds it."""
        return parts.spans(self.config, split, self._store(split).bounds, self.steps)

    def _make_reader(self) -> SeriesReader:
        config, store = self.config, self._store("train")
        names = config.parts().values
        rows = np.concatenate([np.arange(*span) for span in self._spans("train")])
        values = store.values[rows]
        known = np.isfinite(values).sum(0)
        for place in np.flatnonzero(known == 0):
            raise UserError(f"data.columns: {names[place]} has no value in the train part; leave it out")
        mean, deviation = np.nanmean(values, 0), np.nanstd(values, 0)
        variables = len(config.columns or ())
        for place in np.flatnonzero(~(deviation[:variables] > 1e-12 * np.abs(mean[:variables]))):
            raise UserError(
                f"data.columns: {names[place]} is {mean[place]:g} in every moment of the train part, from which "
                "nothing can be learned; leave it out"
            )
        spec = SeriesSpec(
            length=config.history,
            names=tuple(config.columns or ()),
            mean=tuple(mean.tolist()),
            deviation=tuple(np.where(deviation > 0, deviation, 1.0).tolist()),
            step=store.step,
            known=tuple(config.known_columns),
            static=tuple(config.static_columns),
            steps=self.steps,
        )
        return SeriesReader(spec, time=config.time_column, series=config.series_column, fill=config.gaps == "fill")

    def _make_target_spec(self) -> Future:
        spec, store = self.reader.spec, self._store("train")
        assert isinstance(self.target, FutureTarget)
        names = self.target.columns
        unknown = [name for name in names if name not in spec.names]
        if unknown:
            raise UserError(
                f"{self.target.place}: {unknown[0]} is not among the columns that are read; name it in data.columns too"
            )
        places = [spec.names.index(name) for name in names]
        deviation = np.array(spec.deviation)[places]
        season = self.target.season or times.season_of(store.step)
        scale = in_sample_scale(store.values[:, places], self._spans("train"), season) / deviation
        return Future(
            names=names,
            places=tuple(places),
            mean=tuple(np.array(spec.mean)[places].tolist()),
            deviation=tuple(deviation.tolist()),
            scale=tuple(scale.tolist()),
            steps=self.steps,
            season=season,
        )

    def _origins(self, split: Split) -> Integers:
        """The first moments behind what the part's windows read, which a forecast begins with.

        Where nothing is forecast, all that is read lies within the part.
        """
        store, length, steps = self._store(split), self.reader.spec.length, self.steps
        spans = self._spans(split)
        stride = self.config.stride if split == "train" else 1
        whole = 0 if steps else length
        found = np.concatenate(list(origins(store.bounds, spans, length - whole, steps or length, stride))) + whole
        if not len(found):
            parts.refuse_short(split, spans, store.bounds, length, steps)
        if split == "test":
            return measured(found, None, self.config, "windows of test", self._told)
        return found

    def parts(self) -> Iterator[Part]:
        for split in SPLITS:
            name, option = source_split(self.config, split)
            yield Part(split, name, f"{option}={name}", self._origins(split).astype(np.uint32), None, None)

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader:
        store, spec = self._store(split), self.reader.spec
        target: Any = self.target_spec if self.steps else None
        first = self._origins(split)
        name, option = source_split(self.config, split)
        if spec.step != store.step:
            raise UserError(
                f"{option}={name}: its moments are {store.step or 'no'} apart, the model's {spec.step}; bring them to "
                "that step"
            )
        if name not in self._windows:
            self._windows[name] = Windows(store.values, store.starts, spec.mean, spec.deviation)
        windows, at = self._windows[name], torch.from_numpy(first)
        variables, known = len(spec.names), len(spec.known)
        rows = torch.from_numpy(store.rows[first - (not self.steps)])
        last = torch.from_numpy(store.times[first - 1].astype(np.int64)) if store.step else None

        def make(positions: Integers) -> Batch:
            chosen = torch.from_numpy(positions.astype(np.int64))
            begin = at[chosen] - spec.length
            window = windows.cut(begin, spec.length + self.steps)  # (batch, columns, moments)
            series = SeriesInput(
                values=window[:, :variables, : spec.length],
                ahead=window[:, variables : variables + known, spec.length :] if known else None,
                static=window[:, variables + known :, 0] if spec.static else None,
                last=None if last is None else last[chosen],
            )
            targets = {}
            if isinstance(self.target, FutureTarget):
                places, there = list(target.places), windows.there(begin, spec.length + self.steps)
                kept = None if there is None else there[:, places, spec.length :]
                targets = self.target.named(window[:, places, spec.length :], kept)
            return Batch(inputs={self.reader.name: series}, targets=targets, ids=rows[chosen])

        def posed(positions: Integers) -> Batch:
            return self._posed(make(positions))

        train = split == "train"
        return BatchLoader(
            make if train else posed,
            np.ones(len(first), np.uint8),
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            train=train,
            sampled=posed,
            seed=seed,
            rank=rank,
            world=world,
        )
