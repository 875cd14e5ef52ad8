"""Which rows of the source are train, val and test: by its own splits, or carved by class, by group or by time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.console.say import say
from attnpred.errors import UserError

Split = Literal["train", "val", "test"]
Rows = NDArray[np.uint32]  # half of what numpy takes by itself: a split may have many


@dataclass(frozen=True)
class Arrangement:
    """Groups that bind the rows of a split together, or times that order them; at most one of the two is there."""

    groups: NDArray[Any] | None = None  # (rows,) a number for each row's group; below 0 where the row has none
    times: NDArray[Any] | None = None  # (rows,) when each row was made; NaN where nobody knows

    def known(self) -> NDArray[np.bool_] | None:
        """Which rows have their group or time; None where none is asked for."""
        if self.groups is not None:
            return self.groups >= 0
        return None if self.times is None else ~np.isnan(self.times)

    def at(self, rows: Rows) -> "Arrangement":
        return Arrangement(*(None if one is None else one[rows] for one in (self.groups, self.times)))


ANYHOW = Arrangement()


def usable_rows(usable: NDArray[np.bool_], bound: Arrangement) -> Rows:
    """The rows that have a target and, where it is asked for, a group or time."""
    known = bound.known()
    return np.flatnonzero(usable if known is None else usable & known).astype(np.uint32)


def source_split(config: DataConfig, split: Split) -> tuple[str, str]:
    """The source's split that holds the rows, and the option that named it."""
    own = config.split_of(split)
    return (config.train_split, "data.train_split") if own is None else (own, f"data.{split}_split")


def carving(config: DataConfig) -> dict[str, Any]:
    """What decides which rows of the train split stay in train; empty where all do."""
    known: dict[str, Any] = {str(split): share for split, share in _shares(config).items()}
    if config.folds is not None:
        known |= {"folds": config.folds, "fold": config.fold}
    if not known:
        return {}
    columns = {"group": config.group_column, "time": config.time_column}
    return {**known, **{key: name for key, name in columns.items() if name is not None}, "seed": config.split_seed}


def _shares(config: DataConfig) -> dict[Split, float]:
    """The share of train that each part takes which has no split of its own; folds take the place of val's."""
    shares: dict[Split, float] = {}
    if config.folds is None and config.split_of("val") is None:
        shares["val"] = config.val_fraction
    if config.split_of("test") is None:
        shares["test"] = config.test_fraction
    return shares


def part_of(good: Rows, config: DataConfig, split: Split, strata: NDArray[Any] | None, bound: Arrangement) -> Rows:
    """The `good` rows of a source's split that make up `split`; `strata` are theirs, None where they have no class."""
    classes = np.zeros(len(good), np.uint8) if strata is None else strata
    return good[rows_of(config, split, classes, bound.at(good))]


def drawn(rows: Rows, strata: NDArray[Any] | None, count: int, seed: int) -> Rows:
    """So many of these rows, in their order, of each class its share; `strata` are theirs, None without classes."""
    order = np.random.default_rng(seed).permutation(len(rows))
    if strata is not None:  # those of a class one after the other: at even distances each has its share
        order = order[np.argsort(strata[order], kind="stable")]
    taken = order[((np.arange(count) + 0.5) * len(rows) / count).astype(np.int64)]
    return rows[np.sort(taken)]


def measured(rows: Rows, strata: NDArray[Any] | None, config: DataConfig, place: str, told: set[str]) -> Rows:
    """As many rows of the test part as data.test_limit allows; says so once, which `told` remembers."""
    limit = config.test_limit
    if limit is None or limit >= len(rows):
        return rows
    line = f"{place}: tests on {limit:,} of {len(rows):,} rows, as data.test_limit says"
    if line not in told:
        told.add(line)
        say(line)
    return drawn(rows, strata, limit, config.split_seed)


def rows_of(config: DataConfig, split: Split, strata: NDArray[Any], bound: Arrangement = ANYHOW) -> Rows:
    """Rows of the source's split, in ascending order, that make up `split`; `strata` holds each row's class."""
    carved = set(_shares(config)) | ({"val"} if config.folds is not None else set())
    if split in carved or (split == "train" and carved):
        return _carve(config, strata, bound)[split]
    return np.arange(len(strata), dtype=np.uint32)


def _carve(config: DataConfig, strata: NDArray[Any], bound: Arrangement) -> dict[Split, Rows]:
    """Train's rows shared out. Test is taken first, so that it does not depend on how validation is made."""
    if bound.times is not None:
        left = np.argsort(bound.times, kind="stable").astype(np.uint32)
    elif bound.groups is not None:
        left = np.arange(len(strata), dtype=np.uint32)
    else:
        left = _by_class(strata, config.split_seed)
    parts: dict[Split, Rows] = {}
    shares = _shares(config)
    for split in ("test", "val"):
        if split == "val" and config.folds is not None:
            taken, kept = _fold(config, left, strata, bound)
        elif split in shares:
            taken, kept = _share(config, split, shares[split], left, strata, bound)
        else:
            continue
        parts[split] = np.sort(left[taken])
        left = left[kept]
    return {**parts, "train": np.sort(left)}


def _by_class(strata: NDArray[Any], seed: int) -> Rows:
    """All rows, shuffled, and those of a class one after the other: at even distances each class has its share."""
    left = np.random.default_rng(seed).permutation(np.arange(len(strata), dtype=np.uint32))
    own = strata[left]
    return np.concatenate([left[own == group] for group in np.unique(own)])


def _share(
    config: DataConfig, split: Split, share: float, left: Rows, strata: NDArray[Any], bound: Arrangement
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which of the rows `left` become the part, and which stay: places in `left`."""
    size = round(share * len(strata))
    place = f"data.{split}_fraction={share:g}"
    if not 0 < size < len(left):
        raise UserError(
            f"{place}: carves {size} of the {len(strata)} rows of "
            f"data.train_split={config.train_split}; give more data or name data.{split}_split"
        )
    if bound.times is not None:
        cut = _between_times(bound.times[left], len(left) - size)
        if cut == 0:
            raise UserError(
                f"{place}: rows with the same data.time_column={config.time_column} stay together, which leaves none "
                "to train on; name a column that tells them apart"
            )
        return np.arange(cut, len(left)), np.arange(cut)
    if bound.groups is not None:
        few = size / len(left)
        part = deal(bound.groups[left], strata[left], (few, 1 - few), config.split_seed)
        if not 0 < (part == 0).sum() < len(left):
            count = len(np.unique(bound.groups[left]))
            raise UserError(
                f"{place}: data.group_column={config.group_column} has {count} group{'s' * (count != 1)}, too few to "
                f"share out; name another column or data.{split}_split"
            )
        return np.flatnonzero(part == 0), np.flatnonzero(part == 1)
    taken = ((np.arange(size) + 0.5) * len(left) / size).astype(np.int64)
    kept = np.ones(len(left), bool)
    kept[taken] = False
    return taken, np.flatnonzero(kept)


def _fold(
    config: DataConfig, left: Rows, strata: NDArray[Any], bound: Arrangement
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which of the rows `left` are the fold's validation, and which its train part: places in `left`.

    By time the window expands: train is all that lies before the fold, of which there is a block more than folds.
    """
    assert config.folds is not None
    assert config.fold is not None
    place = f"data.folds={config.folds}"
    places = np.arange(len(left))
    if len(left) <= config.folds:
        raise UserError(f"{place}: there are {len(left)} rows to share out; give more data, or fewer folds")
    if bound.times is not None:
        blocks = config.folds + 1
        cuts = [_between_times(bound.times[left], round(i * len(left) / blocks)) for i in range(1, blocks)]
        cuts.append(len(left))
        start, end = cuts[config.fold], cuts[config.fold + 1]
        if not 0 < start < end:
            raise UserError(
                f"{place}: too many rows have the same data.time_column={config.time_column} for so many folds; use "
                "fewer"
            )
        return places[start:end], places[:start]
    if bound.groups is not None:
        count = len(np.unique(bound.groups[left]))
        if count < config.folds:
            raise UserError(
                f"{place}: data.group_column={config.group_column} has {count} groups, fewer than folds; use fewer"
            )
        of_row = deal(bound.groups[left], strata[left], [1 / config.folds] * config.folds, config.split_seed)
    else:
        of_row = places % config.folds
    if not (of_row == config.fold).any():
        raise UserError(
            f"{place}: the groups of data.group_column={config.group_column} are too uneven for so many; use fewer"
        )
    return np.flatnonzero(of_row == config.fold), np.flatnonzero(of_row != config.fold)


def _between_times(times: NDArray[Any], cut: int) -> int:
    """The place nearest before `cut` in ascending `times` at which no time is on both sides."""
    return int(np.searchsorted(times, times[cut])) if cut < len(times) else len(times)


def deal(groups: NDArray[Any], strata: NDArray[Any], shares: Sequence[float], seed: int) -> NDArray[np.int64]:
    """The part of each row, (rows,): whole groups, and of each class near each part's share.

    The largest group comes first, each to the part that lacks most of what it has; equal ones come in random order.
    """
    names, of_row = np.unique(groups, return_inverse=True)
    classes, of_class = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (of_row, of_class), 1)
    wanted = np.outer(shares, counts.sum(0))  # (parts, classes)
    held = np.zeros_like(wanted)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    part = np.empty(len(names), np.int64)
    for group in order:
        lacking = (wanted - held - counts[group]) / wanted  # after the group has come
        part[group] = np.argmax(lacking @ counts[group])
        held[part[group]] += counts[group]
    return part[of_row]
