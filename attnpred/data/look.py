"""A look at the inputs of a source, row by row, before anything is trained; each modality has its own in `look.py`."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from attnpred.data.places import Reach

SHOWN = 5  # rows that a problem names


@dataclass
class Problem:
    """An oddity of some rows, and its remedy; `rows` are the first of them."""

    what: str
    remedy: str
    count: int = 0
    rows: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        self.count += 1
        if len(self.rows) < SHOWN:
            self.rows.append(row)


class Look(ABC):
    """Told all rows in order, of one split after the other; they count from 0 over all of them."""

    MOST_SIGNED: ClassVar[int]  # rows that are compared for near duplicates, the first ones

    def __init__(self, config: Any, reach: Reach) -> None:
        self.config, self.reach = config, reach
        self.digests = array("Q")  # a number a row, equal where inputs are
        self.problems: dict[str, Problem] = {}

    @abstractmethod
    def add(self, columns: Sequence[list[Any]]) -> list[bool]:
        """A chunk of every column of the inputs; which rows training can use where it may skip others."""

    @abstractmethod
    def near(self) -> Iterator[tuple[int, int]]:
        """Pairs of rows that are nearly the same, and not equal."""

    @abstractmethod
    def facts(self) -> list[tuple[str, str]]:
        """Facts of the inputs, in words: lengths of texts, sizes of images."""

    def odd(self, row: int, what: str, remedy: str) -> None:
        self.problems.setdefault(what, Problem(what, remedy)).add(row)
