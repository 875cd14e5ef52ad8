"""Few labels: which rows of the train part keep theirs, as many of each class as is its share."""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from attnpred.config.options import DataConfig
from attnpred.data.splits import Rows, drawn
from attnpred.errors import UserError


def labelling(config: DataConfig) -> dict[str, Any]:
    """What decides which rows keep their labels; empty where all do."""
    return {} if config.labelled is None else {"labelled": config.labelled, "labelled_seed": config.labelled_seed}


def labelled(rows: Rows, strata: NDArray[Any] | None, config: DataConfig) -> Rows:
    """Those of these rows that keep their labels; `strata` are all rows', None where they have no class."""
    count = config.labelled
    if count is None:
        return rows
    if count > len(rows):
        raise UserError(f"data.labelled={count}: the train part has {len(rows):,} rows; ask for fewer")
    return drawn(rows, strata, count, config.labelled_seed)


class FewLabels:
    """What data do with rows of the train part that have no labels."""

    config: Any
    target: Any
    _all_rows_of: Any
    _rows_of: Any
    _pooled = False  # whether train is what has no labels
    _added: tuple[Rows, NDArray[Any]] | None = None  # rows that train has beside its own, and their targets

    def unlabelled(self) -> Self:
        """The same data, whose train part are the rows without labels; what stands for their targets means nothing.

        Those are the rows whose labels are kept back, and where bad rows are skipped those that have none.
        """
        found = copy.copy(self)
        found._pooled = True
        return found

    def add(self, rows: Rows, values: NDArray[Any]) -> None:
        """Adds rows without labels to train, with targets that somebody else gives, in the model's terms."""
        self._added = rows, values

    def _with_unlabelled(self, rows: Rows, values: NDArray[Any]) -> tuple[Rows, NDArray[Any]]:
        """The rows of train and their targets, from those that have labels."""
        if self._pooled:
            pool = self._pool(rows)
            if not len(pool):
                raise UserError(
                    "data.labelled: every row of train has a label, and none is left without; ask for fewer"
                )
            return pool, np.repeat(values[:1], len(pool), axis=0)
        if self._added is None:
            return rows, values
        more, said = self._added
        return np.concatenate([rows, more]), np.concatenate([values, said.astype(values.dtype)])

    def _pool(self, labelled: Rows) -> Rows:
        store, rows, _ = self._all_rows_of("train")
        pool = np.setdiff1d(rows, labelled)
        if self.config.on_bad_row == "skip":
            bare = np.flatnonzero(~self.target.usable(store.targets)).astype(np.uint32)
            pool = np.sort(np.concatenate([pool, bare]))
        return pool
