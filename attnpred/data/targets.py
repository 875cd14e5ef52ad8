"""What a task reads of a row beside its inputs: the interface between a dataset and a task's target."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.errors import BadRow, UserError
from attnpred.files import named

TARGETS, CONTENT = "targets.npy", "target_content.npy"
S = TypeVar("S", bound=TargetSpec)


@dataclass(frozen=True)
class Stored:
    """The targets of a split, as they were kept: a value a row, and what describes them all."""

    values: NDArray[Any]  # (rows, …)
    about: dict[str, Any]
    content: NDArray[Any] | None = None  # what values point into, of targets whose rows differ in length

    def save(self, directory: Path) -> None:
        np.save(directory / TARGETS, self.values)
        if self.content is not None:
            np.save(directory / CONTENT, self.content)

    @classmethod
    def load(cls, directory: Path, about: dict[str, Any]) -> "Stored":
        with named(directory / TARGETS):
            values = np.load(directory / TARGETS, allow_pickle=False, mmap_mode="r")
            there = (directory / CONTENT).exists()
            content = np.load(directory / CONTENT, allow_pickle=False, mmap_mode="r") if there else None
            return cls(values, about, content)


class Collector(ABC):
    """Collects the target columns of a split chunk by chunk."""

    @abstractmethod
    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        """A chunk of each column. A row that is not `usable` gets no target: something else is wrong with it."""

    def add_rows(self, count: int, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        """As `add`, for chunks of so many rows whose target may have no column."""
        self.add(columns, usable)

    @abstractmethod
    def finish(self) -> Stored: ...


class Target(ABC, Generic[S]):
    """The target of one task in one dataset: which columns it is made of, and how. It knows nothing of models."""

    kind: ClassVar[str]  # names the way of storing in the cache; of another version, another name
    by_word: ClassVar[bool] = False  # whether a row has a value for each of its words, whose number must agree

    def __init__(self, columns: Sequence[str], option: str) -> None:
        """`option` is what named the columns, for error messages."""
        self.columns, self.option = tuple(columns), option

    @property
    def place(self) -> str:
        """The option and its value, for error messages."""
        return f"{self.option}={','.join(self.columns)}"

    def key(self) -> dict[str, Any]:
        """What a prepared split is known by in the cache, beside its inputs."""
        return {"kind": self.kind, "columns": list(self.columns)}

    @abstractmethod
    def collector(self, names: Sequence[list[str] | None]) -> Collector:
        """`names` are the source's own names for the numbers of each column, where it has some."""

    @abstractmethod
    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        """Which rows have a target."""

    @abstractmethod
    def complaint(self, stored: Stored, row: int) -> str:
        """What is wrong with the target of a row that is not usable: `has no label (-1)`."""

    @abstractmethod
    def spec(self, stored: Stored, rows: NDArray[Any]) -> S:
        """The specification, from the rows of the train part."""

    def extended(self, earlier: S, spec: S) -> S:
        """`earlier`, a model's, with what new data's `spec` has beside it, such as classes, behind what it has."""
        return earlier

    def of_rows(self, stored: Stored, numbers: NDArray[Any], spec: S, place: str) -> NDArray[Any]:
        """The targets of rows that were read by themselves, in the model's terms; `numbers` are the rows' own."""
        bad = np.flatnonzero(~self.usable(stored))
        if len(bad):
            number = int(numbers[bad[0]])
            raise BadRow(f"{self.place}: row {number} of {place} {self.complaint(stored, bad[0])}; mend it", number)
        return self.adapted(stored, np.arange(len(stored.values)), spec, place)

    @abstractmethod
    def adapted(self, stored: Stored, rows: NDArray[Any], spec: S, place: str) -> NDArray[Any]:
        """The values of these rows in the terms of a model's specification; `place` names the split."""

    @abstractmethod
    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        """A batch's targets, from adapted values, (batch, …)."""

    def strata(self, stored: Stored, rows: NDArray[Any]) -> NDArray[Any] | None:
        """Groups of rows, a number each, of which every carved part gets its share; None carves at random."""
        return None

    def shown(self, stored: Stored, row: int) -> str:
        """A row's target, for people."""
        return str(stored.values[row].tolist())

    def counts(self, stored: Stored, rows: NDArray[Any]) -> dict[str, int] | None:
        """How many of these rows have each class or label; None where a target has none."""
        return None

    def weights(self, values: NDArray[Any], spec: S) -> NDArray[np.floating[Any]]:
        """How often each row shall be drawn, relative to others, for `data.sampling=balanced`."""
        raise UserError(f"data.sampling=balanced: {self.place} holds no classes to balance; set data.sampling=all")

    def check_varied(self, values: NDArray[Any], spec: S, place: str) -> None:
        """Raises where the train part's targets are all alike, so that nothing can be learned."""

    def require(self, stored: Stored, place: str) -> None:
        """Raises for the first row without a target."""
        bad = np.flatnonzero(~self.usable(stored))
        if len(bad):
            row = int(bad[0])
            raise BadRow(
                f"{place}: row {row} {self.complaint(stored, row)}; choose a split whose every row has a target", row
            )
