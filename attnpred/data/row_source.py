"""Rows that a class yields one by one: the base of datasets in formats of one's own."""

import hashlib
import inspect
from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from attnpred.data.places import Reach
from attnpred.data.sources import Source


class RowSource(Source):
    """A subclass names its splits, and yields each split's rows as dictionaries, always in the same order."""

    split_names: ClassVar[tuple[str, ...]] = ("train",)

    @abstractmethod
    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        """Every row has the same keys, which are the columns."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What prepared data is known by: the source's name and this class's file.

        Add what the rows are read from, such as a file's size and time of change, or prepared data grows stale.
        """
        code = Path(inspect.getfile(type(self))).read_bytes()
        return {"source": self.config.source, "code": hashlib.blake2b(code, digest_size=16).hexdigest()}

    @property
    def reach(self) -> Reach:
        """Any file: rows are what a class says that the user trusts."""
        return Reach(None)

    def splits(self) -> list[str]:
        return list(self.split_names)

    def _class_names(self, split: str, column: str) -> list[str] | None:
        return None

    def _chunks(self, split: str, size: int) -> Iterator[dict[str, list[Any]]]:
        rows = self.rows(split)
        while chunk := list(islice(rows, size)):
            yield {name: [row[name] for row in chunk] for name in chunk[0]}
