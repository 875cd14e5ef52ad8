"""Which rows of the source are train, val and test."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.errors import UserError

Split = Literal["train", "val", "test"]
Rows = NDArray[np.uint32]  # half of what numpy takes by itself: a split may have many


def source_split(config: DataConfig, split: Split) -> tuple[str, str]:
    """The source's split that holds the rows, and the option that named it."""
    own = {"train": config.train_split, "val": config.val_split, "test": config.test_split}[split]
    return (config.train_split, "data.train_split") if own is None else (own, f"data.{split}_split")


def carving(config: DataConfig) -> dict[str, float]:
    """What decides which rows of the train split stay in train; empty where all do."""
    fractions = {"val": (config.val_split, config.val_fraction), "test": (config.test_split, config.test_fraction)}
    shares = {split: share for split, (own, share) in fractions.items() if own is None}
    return {**shares, "seed": config.split_seed} if shares else {}


def rows_of(config: DataConfig, split: Split, strata: NDArray[Any]) -> Rows:
    """Rows of the source's split, in ascending order, that make up `split`; `strata` holds each row's group."""
    shares = carving(config)
    if split in shares or (split == "train" and shares):
        return _carve(config, strata)[split]
    return np.arange(len(strata), dtype=np.uint32)


def _carve(config: DataConfig, strata: NDArray[Any]) -> dict[str, Rows]:
    """Train's rows shared out, each group by the same share.

    Rows are shuffled, sorted by group, and taken at even distances: a part's size is exact, and each group has its
    share to within one row. Test is taken first, so that it does not depend on how validation is made.
    """
    left = np.random.default_rng(config.split_seed).permutation(np.arange(len(strata), dtype=np.uint32))
    own = strata[left]
    left = np.concatenate([left[own == group] for group in np.unique(own)])
    del own
    parts: dict[str, Rows] = {}
    shares = carving(config)
    for split in ("test", "val"):
        if split not in shares:
            continue
        size = round(shares[split] * len(strata))
        if not 0 < size < len(left):
            raise UserError(
                f"data.{split}_fraction={shares[split]:g}: carves {size} of the {len(strata)} rows of "
                f"data.train_split={config.train_split}; give more data or name data.{split}_split"
            )
        taken = ((np.arange(size) + 0.5) * len(left) / size).astype(np.int64)
        parts[split] = np.sort(left[taken])
        kept = np.ones(len(left), bool)
        kept[taken] = False
        left = left[kept]
    left.sort()
    return {**parts, "train": left}
