"""Learning curves of a group: at each step the mean over seeds, and the deviation around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnpred.compare.groups import Group
from attnpred.compare.status import points

KINDS = ("train/", "val/", "attention/")
ALSO = ("lr", "grad_norm")
MOST_POINTS = 100  # of a curve, evenly spread
LARGEST = 2**26  # bytes of one run's records

Curve = list[tuple[float, float, float | None, int]]  # step, mean, deviation, seeds


def curves(group: Group) -> dict[str, Curve]:
    """Every recorded value by its name; seeds that recorded other steps are read between theirs."""
    by_name: dict[str, list[tuple[list[float], list[float]]]] = {}
    for run in group.runs:
        for name, found in _recorded(run.path / "metrics.jsonl").items():
            by_name.setdefault(name, []).append((list(found), list(found.values())))
    return {name: _over_seeds(seeds) for name, seeds in by_name.items()}


def _recorded(file: Any) -> dict[str, dict[float, float]]:
    """Name → step → value; the last one of a step counts."""
    try:
        with file.open("rb") as stream:
            lines = stream.read(LARGEST).splitlines()
    except OSError:
        return {}
    found: dict[str, dict[float, float]] = {}
    for point in points(lines):
        step = point.get("step")
        for name, value in point.items():
            wanted = name.startswith(KINDS) or name in ALSO
            if wanted and isinstance(value, int | float) and isinstance(step, int):
                found.setdefault(name, {})[float(step)] = float(value)
    return {name: dict(sorted(values.items())) for name, values in found.items()}


def _over_seeds(seeds: Sequence[tuple[list[float], list[float]]]) -> Curve:
    steps = np.unique(np.concatenate([own for own, _ in seeds]))
    if len(steps) > MOST_POINTS:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).round().astype(int))]
    # beyond what a seed recorded it has no value
    values = np.array([np.interp(steps, own, found, left=np.nan, right=np.nan) for own, found in seeds])
    curve: Curve = []
    for step, column in zip(steps, values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known):
            deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
            curve.append((float(step), float(known.mean()), deviation, len(known)))
    return curve
