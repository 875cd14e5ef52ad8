"""Likely faults of data that can be trained on: rows in two parts, classes too rare, parts without a class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.console.say import say

SHOWN = 5  # classes that a line names


@dataclass(frozen=True)
class Part:
    """Train, val or test, as a source's split `name` holds it; `place` is the option that named it, and its value."""

    split: str
    name: str
    place: str
    rows: NDArray[Any]  # in the source's split
    counts: Mapping[str, int] | None  # of rows by class or label
    digests: NDArray[np.uint64] | None  # of the rows' inputs


def tell(parts: Sequence[Part]) -> None:
    """Says a line for each on stderr, before training."""
    for line in [*shared(parts), *rare(parts), *lacking(parts)]:
        say(f"warning: {line}")


def shared(parts: Sequence[Part]) -> Iterator[str]:
    """Rows of train that validation or test holds once more; of a train part that is streamed nothing is known."""
    train, *others = parts
    for part in others if train.split == "train" else ():
        if train.digests is None or part.digests is None:
            continue
        again = np.flatnonzero(np.isin(part.digests, train.digests))
        if not len(again):
            continue
        row = int(part.rows[again[0]])
        twin = int(train.rows[np.flatnonzero(train.digests == part.digests[again[0]])[0]])
        yield (
            f"{len(again):,} of the {len(part.rows):,} rows of {part.split} are in train too (row {row} of {part.name} "
            f"is row {twin} of {train.name}), which flatters the result; remove them, or keep what belongs together "
            "on one side by data.group_column"
        )


def rare(parts: Sequence[Part]) -> Iterator[str]:
    """Classes of a single row, in all parts together."""
    if any(part.counts is None for part in parts):
        return
    whole: dict[str, int] = {}
    for part in parts:
        for name, count in (part.counts or {}).items():
            whole[name] = whole.get(name, 0) + count
    if once := [name for name, count in whole.items() if count == 1]:
        yield (
            f"{_named(once)} {'has' if len(once) == 1 else 'have'} one row, which is learned or measured, never both; "
            "give more rows, or leave it out"
        )


def lacking(parts: Sequence[Part]) -> Iterator[str]:
    """Parts without some class that another part has."""
    known = [part for part in parts if part.counts is not None]
    present = {name for part in known for name, count in (part.counts or {}).items() if count}
    for part in known:
        names = [name for name in sorted(present) if not (part.counts or {}).get(name)]
        if names:
            remedy = "give rows of it" if part.split == "train" else "its share is not measured; give rows of it"
            yield f"{part.split} ({part.place}) has no row of {_named(names)}: {remedy}, or carve larger parts"


def _named(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
