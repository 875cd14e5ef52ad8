"""Small tables of series: waves with a trend, of which the next values can be told."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2024, 1, 1)
PERIOD = 12


def waves(moments=400, seed=0):
    """Two variables, (moments, 2): a wave with a trend, and one that follows it late."""
    random = np.random.default_rng(seed)
    place = np.arange(moments)
    first = np.sin(2 * np.pi * place / PERIOD) + 0.002 * place
    second = 5 + 2 * np.roll(first, 3)
    return np.stack((first, second), 1) + 0.05 * random.normal(size=(moments, 2))


def clock(moments, step=timedelta(hours=1)):
    return [(START + i * step).isoformat(sep=" ") for i in range(moments)]


def write_table(file: Path, columns: dict) -> Path:
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(names), *(",".join("" if v is None else str(v) for v in row) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def write_waves(file: Path, moments=400, **changed) -> Path:
    """`changed` puts other values in columns' places."""
    values = waves(moments)
    columns = {"date": clock(moments), "up": values[:, 0].tolist(), "late": values[:, 1].tolist()}
    return write_table(file, {**columns, **changed})
