"""What a run knows: the rows of its validation that are kept in its directory, and how often they give false alarms."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.errors import UserError
from attnpred.files import read_json, write_text
from attnpred.inference.monitoring.drift import FEW, compare
from attnpred.inference.monitoring.observer import Observer
from attnpred.inference.monitoring.rows import MOST_WIDTH, Rows, from_dicts, together
from attnpred.inference.predict import Predictor
from attnpred.inference.weights import digest_of
from attnpred.runs.forms import Form, finite, misfit, text, whole
from attnpred.runs.run import Run
from attnpred.version import __version__

FOLDER, ABOUT, ROWS = "reference", "reference.json", "rows.parquet"
SAMPLE = 2000  # rows that are kept
WIDTH = 32  # numbers of a vector that are kept
WINDOWS, DRAWN = (100, 200, 500), 100  # rows of new input that false alarms are measured for, and how many such
UNLIKE = 0.2  # share of false alarms from which on validation is no reference
Split = Literal["val", "test"]
FORM: Form = {
    "split": text,
    "weights": text,
    "centre": [finite],
    "axes": [[finite]],
    "false_alarms": [{"rows": whole, "windows": whole, "alarms": whole}],
}


@dataclass(frozen=True)
class Axes:
    """The directions in which what the model makes of inputs differs most, by which vectors are made short."""

    centre: NDArray[np.float64]  # (width,)
    axes: NDArray[np.float64]  # (short, width)

    def short(self, rows: Rows) -> Rows:
        if rows.vectors is None or rows.vectors.shape[1] != len(self.centre):
            return replace(rows, vectors=None)
        return replace(rows, vectors=((rows.vectors - self.centre) @ self.axes.T).astype(np.float32))


@dataclass(frozen=True)
class Reference:
    rows: Rows
    axes: Axes
    about: dict[str, Any]

    @property
    def false_alarms(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.about["false_alarms"]
        return found


def find(run: Run) -> Reference | None:
    """The one that the run keeps; None where it keeps none, or of other weights."""
    folder = run.path / FOLDER
    if not (folder / ABOUT).is_file():
        return None
    about = read_json(folder / ABOUT)
    if (place := misfit(about, FORM)) is not None:
        raise _damaged(folder, f"{place or 'all'} is missing or mistyped")
    if about["weights"] != digest_of(run.checkpoint()):
        return None
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(folder / ROWS)
        if file.metadata.num_rows > 2 * SAMPLE:
            raise ValueError("it holds too many rows")
        rows = from_dicts(file.read().to_pylist())
        centre, axes = np.array(about["centre"], np.float64), np.array(about["axes"], np.float64)
        if centre.ndim != 1 or len(centre) > MOST_WIDTH or axes.size % max(len(centre), 1):
            raise ValueError("its axes are of no such width")
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        raise _damaged(folder, " ".join(str(error).split())) from None
    return Reference(rows, Axes(centre, axes.reshape(axes.size // max(len(centre), 1), len(centre))), about)


def _damaged(folder: Path, reason: str) -> UserError:
    return UserError(f"{folder}: is no reference that can be read ({reason}); remove it, and have it made again")


def make(run: Run, config: Config, asked: Split | None = None) -> Reference:
    """Computes it from the run's data, and keeps it in the run directory.

    Where no split is asked for, it is validation, unless the run's own test split is so unlike it that it gives alarm.
    """
    observer = Observer(Predictor(run, config))
    data = run.data(config)
    found = _made(run, observer, data, asked or "val")
    if asked is None and any(one["alarms"] > UNLIKE * one["windows"] for one in found.false_alarms):
        say("reference: the run's own test split gives alarm, so unlike validation is it; half of it is taken instead")
        found = _made(run, observer, data, "test")
    return found


def _made(run: Run, observer: Observer, data: Any, split: Split) -> Reference:
    """False alarms are measured on the test split. Where that is the reference too, it is cut into halves."""
    say(f"reference: {run.path}, {split} split (once; kept in the run)")
    known = rows_of(observer, data, split, SAMPLE if split == "val" else 2 * SAMPLE)
    if split == "val":
        held = rows_of(observer, data, "test", SAMPLE)
    else:
        order = np.random.default_rng(0).permutation(len(known))
        known, held = known.taken(order[::2]), known.taken(order[1::2])
    if len(known) < FEW:
        raise UserError(f"{run.path}: its {split} split has {len(known)} rows; a reference needs {FEW} or more")
    axes = axes_of(known)
    known, held = axes.short(known), axes.short(held)
    about = {
        "split": split,
        "rows": len(known),
        "weights": digest_of(run.checkpoint()),
        "attnpred": __version__,
        "centre": axes.centre.tolist(),
        "axes": axes.axes.tolist(),
        "false_alarms": false_alarms(known, held),
        "held": [len(held), "test"],
    }
    _keep(run, known, about)
    return Reference(known, axes, about)


def rows_of(observer: Observer, data: Any, split: Split, most: int) -> Rows:
    return together([observer.rows(batch) for batch in data.loader(split).sample(most)])


def axes_of(rows: Rows) -> Axes:
    """Principal components, for at most WIDTH numbers a row."""
    if rows.vectors is None:
        return Axes(np.zeros(0), np.zeros((0, 0)))
    vectors = rows.vectors.astype(np.float64)
    centre = vectors.mean(0)
    _, _, axes = np.linalg.svd(vectors - centre, full_matrices=False)
    return Axes(centre.round(6), axes[:WIDTH].round(6))


def false_alarms(known: Rows, held: Rows) -> list[dict[str, Any]]:
    """Of windows of so many rows, drawn from rows that nothing was chosen on, how many give alarm."""
    found = []
    random = np.random.default_rng(0)
    for rows in (size for size in WINDOWS if size <= len(held) / 2):
        windows = [held.taken(random.permutation(len(held))[:rows]) for _ in range(DRAWN)]
        alarms = sum(any(one.alarm for one in compare(known, window)) for window in windows)
        found.append({"rows": rows, "windows": DRAWN, "alarms": alarms})
    return found


def share(alarms: int, windows: int) -> tuple[float, float, float]:
    """The rate of alarms and its bounds (Wilson, 95 %)."""
    rate, z = alarms / windows, 1.96
    middle = (rate + z * z / (2 * windows)) / (1 + z * z / windows)
    half = z * math.sqrt(rate * (1 - rate) / windows + z * z / (4 * windows**2)) / (1 + z * z / windows)
    return rate, max(middle - half, 0.0), min(middle + half, 1.0)


def _keep(run: Run, rows: Rows, about: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = run.path / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        draft = folder / f".{ROWS}.part"
        pq.write_table(pa.Table.from_pylist(rows.as_dicts()), draft)
        draft.replace(folder / ROWS)
        write_text(folder / ABOUT, json.dumps(about) + "\n")
    except OSError as error:
        say(f"warning: {folder}: cannot be written ({error.strerror}); it is computed again the next time")
