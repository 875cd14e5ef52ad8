"""A source of one split as several: a column of it names each row's."""

from functools import cached_property
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.data.formats import Chunks
from attnpred.data.places import Reach
from attnpred.data.sources import Source, listed
from attnpred.errors import BadRow, UserError

MOST_SPLITS = 20
CHUNK = 10_000


class SplitColumn(Source):
    def __init__(self, config: DataConfig, whole: Source) -> None:
        super().__init__(config)
        self._whole = whole

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {**self._whole.fingerprint, "split_column": self._column}

    @property
    def _column(self) -> str:
        assert self.config.split_column is not None
        return self.config.split_column

    @property
    def _place(self) -> str:
        return f"data.split_column={self._column}"

    @cached_property
    def _only(self) -> str:
        """The source's one split."""
        splits = self._whole.splits()
        if len(splits) > 1:
            raise UserError(
                f"{self._place}: {self.config.source} has splits of its own, {listed(splits)}; set "
                "data.split_column=null"
            )
        return splits[0]

    @cached_property
    def _names(self) -> list[str]:
        """The values of the column, in the order in which they come."""
        found: dict[str, None] = {}
        start = 0
        for (values,) in self._whole.chunks(self._only, "data.source", {"data.split_column": self._column}, CHUNK):
            for row, value in enumerate(values, start):
                if value is None or value == "":
                    if self.config.on_bad_row == "skip":
                        continue
                    raise BadRow(f"{self._place}: row {row} names no split; mend it, or set data.on_bad_row=skip", row)
                found[str(value)] = None
            if len(found) > MOST_SPLITS:
                raise UserError(
                    f"{self._place}: holds more than {MOST_SPLITS} values ({listed(list(found)[:3])}, …), which are no "
                    "names of splits; name another column"
                )
            start += len(values)
        return list(found)

    def splits(self) -> list[str]:
        return self._names

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return self._whole._class_names(self._only, column)

    @property
    def reach(self) -> Reach:
        return self._whole.reach

    def file_of(self, split: str, row: int) -> str | None:
        start = seen = 0
        for (values,) in self._whole.chunks(self._only, "data.source", {"data.split_column": self._column}, CHUNK):
            for place, value in enumerate(values, start):
                seen += str(value) == split
                if seen > row:
                    return self._whole.file_of(self._only, place)
            start += len(values)
        return None

    def _chunks(self, split: str, size: int) -> Chunks:
        for chunk in self._whole._chunks(self._only, size):
            here = [row for row, value in enumerate(chunk[self._column]) if str(value) == split]
            if here:
                yield {name: [values[row] for row in here] for name, values in chunk.items()}
