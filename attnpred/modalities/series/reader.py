"""Tables of series in: batches of their last moments. Attention on variables and moments out."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Attention, Batch
from attnpred.data.formats import kind_of
from attnpred.errors import BadInput
from attnpred.modalities import received
from attnpred.modalities.reader import Describe, Reader, Reading
from attnpred.modalities.series import times
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.modalities.series.fitted import fitted
from attnpred.modalities.series.given import Given, rows_of_file
from attnpred.modalities.series.sound import Sound, sound_of
from attnpred.modalities.series.store import filled
from attnpred.modalities.series.table import Columns, Table, Wrong, read
from attnpred.pages import lines
from attnpred.pages.pictures import Caption

SPEC = SeriesSpec
TOGETHER = "all"  # the name of all variables, where a part is a moment of them all


class SeriesReader(Reader[SeriesSpec, SeriesInput]):
    """Makes batches of the last moments of tables, and says of attention on which moments it lies."""

    name = "series"

    def __init__(
        self,
        spec: SeriesSpec,
        *,
        time: str | None = None,
        series: str | None = None,
        fill: bool = False,
        whole: bool = False,
        sound: Sound | None = None,
    ) -> None:
        """`time`, `series`: columns. `whole`: a series of any length is read as one; of a `sound` its frames are."""
        self.spec = spec
        self.time, self.series, self.fill = time, series, fill
        self.whole, self.sound = whole, sound

    def options(self) -> dict[str, Any]:
        sound = None if self.sound is None else asdict(self.sound)
        return {"time": self.time, "series": self.series, "fill": self.fill, "whole": self.whole, "sound": sound}

    @classmethod
    def load(cls, directory: Path, spec: SeriesSpec, options: dict[str, Any]) -> "SeriesReader":
        if options.keys() != {"time", "series", "fill", "whole", "sound"}:
            raise ValueError("reader has other options")
        named = all(options[name] is None or isinstance(options[name], str) for name in ("time", "series"))
        if not named or not all(isinstance(options[name], bool) for name in ("fill", "whole")):
            raise ValueError("reader has other options")
        sound = None if options["sound"] is None else sound_of(options["sound"], len(spec.names))
        return cls(spec, **{**options, "sound": sound})

    def accept(self, value: str, position: int) -> Any:
        if value.lstrip().startswith(("[", "{")):
            return value
        if not Path(value).is_file():
            raise BadInput(f"{value}: no such file; give a table of a series (CSV, JSON lines, Parquet)", position)
        if self.sound is None and kind_of(Path(value)) is None:
            raise BadInput(f"{value}: is no table that is read here; give CSV, JSON lines or Parquet", position)
        return value

    def received(self, value: Any, position: int) -> Any:
        return received.content(value, position, "sounds") if self.sound else received.numbers(value, position)

    def readings(self, inputs: Iterable[Any], size: int) -> Iterator[Reading]:
        """Batches of the last moments of each input's series; an input of several series gives an answer each."""
        start = 0
        given = (one for position, value in enumerate(inputs) for one in self._given(value, position))
        while some := list(islice(given, size)):
            ids = torch.arange(start, start + len(some))
            batch = Batch(inputs={self.name: self._batch(some)}, targets={}, ids=ids)
            yield Reading([one.name for one in some], batch, self.describe(batch.input))
            start += len(some)

    def blank(self) -> Any:
        return {name: [0.0] * self.spec.length for name in self.spec.names}

    def _given(self, value: Any, position: int) -> Iterator[Given]:
        """The series of one input: of a file, a mapping of columns, or rows of numbers."""
        shown = value if isinstance(value, str) and not value.lstrip().startswith(("[", "{")) else "the series"
        try:
            if self.sound is not None:
                yield Given(str(shown), *self._whole(self._heard(value)))
                return
            table = self._table(value)
            for begin, end, name in zip(table.starts[:-1], table.starts[1:], table.series, strict=True):
                yield self._last(table, int(begin), int(end), f"{shown}: {name}" if name else str(shown))
        except (Wrong, OSError) as error:
            raise BadInput(f"{shown}: {error}", position) from None

    def _heard(self, value: Any) -> NDArray[np.float32]:
        """A sound's frames, (frames, bands)."""
        assert self.sound is not None
        try:
            return self.sound.series(value if isinstance(value, bytes) else Path(value))
        except (TypeError, ValueError) as error:
            raise Wrong("", f"{error}; give a file of a sound, WAV or FLAC") from None

    def _whole(
        self, values: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], None]:
        """(moments, variables) as a `Given` holds it."""
        nothing = np.zeros((0, 0), np.float32)
        return fitted(values, self.spec), nothing, nothing.ravel(), None

    def _table(self, value: Any) -> Table:
        spec = self.spec
        columns = Columns((*spec.names, *spec.known, *spec.static), self.time, self.series)
        found: Any = value
        if isinstance(found, str) and found.lstrip().startswith(("[", "{")):
            try:
                found = json.loads(found)
            except (ValueError, RecursionError):
                raise Wrong("", "is no JSON; give rows of numbers, columns by name, or a file") from None
        if isinstance(found, str | Path):
            found = rows_of_file(Path(found))
        elif hasattr(found, "to_dict"):  # a data frame
            found = found.to_dict("list")
        if not isinstance(found, Mapping):
            found = _by_name(found, columns.values)
            columns = Columns(columns.values, None, None)
        wanted = list(columns.named().values())
        lacking = [name for name in wanted if name not in found]
        if lacking:
            raise Wrong("", f"has no column {lacking[0]}, which the model reads; it has {', '.join(map(str, found))}")
        lists = [list(found[name]) for name in wanted]
        if len({len(one) for one in lists}) > 1 or not lists[0]:
            raise Wrong("", "its columns are of different lengths, or empty; give a value a moment")
        table = read(iter([lists]), columns, fill=self.fill)
        if columns.time is not None and table.step not in ("", spec.step):
            raise Wrong(
                "",
                f"its moments are {table.step} apart, the model learned from steps of {spec.step}; bring them to that",
            )
        return table

    def _last(self, table: Table, begin: int, end: int, name: str) -> Given:
        """The series' last moments, standardised; behind them, where something is known ahead, those to come."""
        spec, variables = self.spec, len(self.spec.names)
        values = table.values[begin:end]
        if self.whole:
            return Given(name, *self._whole(values))
        history = end - begin
        if spec.known:
            seen = np.flatnonzero(np.isfinite(values[:, :variables]).any(1))
            history = int(seen[-1]) + 1 if len(seen) else 0
            if end - begin - history < spec.steps:
                raise Wrong(
                    "",
                    f"{', '.join(spec.known)} must be given for the {spec.steps} moments to come, too; add rows that "
                    "lack the other values",
                )
        if history < spec.length:
            raise Wrong("", f"has {history:,} moments, the model reads {spec.length:,}; give as many or more")
        even = ((values - np.array(spec.mean)) / np.array(spec.deviation)).astype(np.float32).T
        even = filled(even, np.isnan(even), np.array([0, len(values)]))
        window = even[:, history - spec.length : history + spec.steps]
        last = table.times[begin + history - 1]
        return Given(
            name,
            window[:variables, : spec.length],
            window[variables : variables + len(spec.known), spec.length :],
            window[variables + len(spec.known) :, 0],
            None if np.isnan(last) else int(last),
        )

    def _batch(self, some: Sequence[Given]) -> SeriesInput:
        def stacked(rows: list[NDArray[Any]]) -> torch.Tensor:
            return torch.from_numpy(np.stack(rows))

        spec, lasts = self.spec, [one.last for one in some]
        return SeriesInput(
            values=stacked([one.values for one in some]),
            ahead=stacked([one.ahead for one in some]) if spec.known else None,
            static=stacked([one.static for one in some]) if spec.static else None,
            last=None if None in lasts or not spec.step else torch.tensor(lasts),
        )

    def describe(self, found: SeriesInput) -> Describe:
        return partial(self._describe, found)

    def _describe(self, found: SeriesInput, attention: Attention) -> Iterator[dict[str, Any]]:
        """Of each variable the attention on its blocks of moments, which are named by their first moment."""
        (grid,) = attention.grids
        rows, blocks = grid or (1, self.spec.length)
        names = list(self.spec.names) if rows > 1 or len(self.spec.names) == 1 else [TOGETHER]
        maps = attention.importance.cpu().double().unflatten(1, (rows, blocks)).tolist()
        lasts = [None] * len(maps) if found.last is None else found.last.tolist()
        histories = self.in_unit(found.values).tolist()
        for shares, last, history in zip(maps, lasts, histories, strict=True):
            answer = {
                "moments": self._moments(last, blocks),
                "attention": dict(zip(names, shares, strict=True)),
                "history": dict(zip(self.spec.names, history, strict=True)),
            }
            if last is not None and self.spec.steps:
                answer["times"] = times.around(last, self.spec.step, self.spec.steps)
            yield answer

    def in_unit(self, values: torch.Tensor) -> torch.Tensor:
        """(batch, variables, moments) of standardised values in the data's own unit"""
        count = values.shape[1]
        mean, deviation = (
            torch.tensor(one[:count], dtype=torch.float64)[:, None] for one in (self.spec.mean, self.spec.deviation)
        )
        return values.cpu().double() * deviation + mean

    def _moments(self, last: int | None, blocks: int) -> list[str]:
        """Names of the blocks' first moments: times, or places before the first moment to come."""
        length = self.spec.length
        first = [block * length // blocks for block in range(blocks)]
        if last is None:
            return [str(place - length) for place in first]
        named = times.around(last, self.spec.step, -length)
        return [named[place] for place in first]

    def shown(self, found: SeriesInput, attention: Attention, describe: Describe) -> list[dict[str, Any]]:
        (grid,) = attention.grids
        rows, blocks = grid or (1, self.spec.length)
        names = list(self.spec.names) if rows > 1 or len(self.spec.names) == 1 else [TOGETHER]
        lasts = [None] * len(found) if found.last is None else found.last.tolist()
        shown = []
        for values, last in zip(self.in_unit(found.values).numpy(), lasts, strict=True):
            picture = lines.series(values, self.spec.names)
            shown.append(
                {
                    "image": lines.data_url(picture),
                    "size": list(picture.shape[:2]),
                    "grid": [rows, blocks],
                    "rows": names,
                    "columns": self._moments(last, blocks),
                }
            )
        return shown

    def maps(self, found: SeriesInput, importance: Any, attention: Attention, describe: Describe) -> list[list[float]]:
        rows: list[list[float]] = importance.tolist()  # parts stay as they are
        return rows

    def draw(self, examples: Sequence[dict[str, Any]], maps: Sequence[Any], captions: Sequence[Caption]) -> np.ndarray:
        heats = [np.asarray(one).reshape(example["grid"]) for one, example in zip(maps, examples, strict=True)]
        return lines.captioned([lines.pixels(one["image"]) for one in examples], heats, captions)

    def html(self, answer: dict[str, Any], caption: Caption) -> str:
        """The series, its attention under it, and where it is a forecast, that behind it."""
        heat = np.array(list(answer["attention"].values()))
        if "forecast" in answer:
            picture = lines.forecasts(
                [
                    lines.Told(
                        name,
                        np.array(answer["history"][name]),
                        np.array(values),
                        bounds=np.array([[one["low"], one["high"]] for one in answer["interval"][name]]).T
                        if "interval" in answer
                        else None,
                        heat=heat[list(answer["history"]).index(name)] if len(heat) > 1 else heat[0],
                    )
                    for name, values in answer["forecast"].items()
                ]
            )
        else:
            values = np.array(list(answer["history"].values()))
            picture = lines.captioned([lines.series(values, tuple(answer["history"]))], [heat], [caption])
        return f'<br><img alt="the series, and under it what decided" src="{lines.data_url(picture)}">'


READER = SeriesReader


def _by_name(rows: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """(moments, variables) of numbers as columns."""
    try:
        table = np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        raise Wrong("", "is no table of numbers; give rows of numbers, columns by name, or a file") from None
    table = table[:, None] if table.ndim == 1 and len(names) == 1 else table
    if table.ndim != 2 or table.shape[1] != len(names):
        raise Wrong("", f"the model reads {len(names)} columns ({', '.join(names)}); give as many numbers a row")
    return {name: table[:, place].tolist() for place, name in enumerate(names)}
