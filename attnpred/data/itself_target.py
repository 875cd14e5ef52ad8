"""Where the input itself is the target: a task hides some of its parts, and no column says anything."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import Batch, InputSpec, TargetSpec
from attnpred.data.targets import Collector, Stored, Target

S = TypeVar("S", bound=TargetSpec)


class RowCounter(Collector):
    """Knows of a split how many rows it has."""

    def __init__(self) -> None:
        self._usable: list[NDArray[np.bool_]] = []

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        raise NotImplementedError("without a column nothing tells how many rows there are; use add_rows")

    def add_rows(self, count: int, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        self._usable.append(np.ones(count, bool) if usable is None else np.asarray(usable, bool))

    def finish(self) -> Stored:
        return Stored(np.concatenate(self._usable) if self._usable else np.zeros(0, bool), {})


class ItselfTarget(Target[S]):
    """Rows have no target but their input."""

    kind = "itself-1"
    packs: bool = False  # whether training joins rows, so that no sequence of a batch is padded

    @abstractmethod
    def of_inputs(self, specs: Mapping[str, InputSpec]) -> S:
        """The specification, from those of the inputs."""

    @abstractmethod
    def posed(self, batch: Batch, spec: S) -> Batch:
        """The batch with parts hidden, the same ones whenever a row comes, as evaluation and explanations show it."""

    def collector(self, names: Sequence[list[str] | None]) -> RowCounter:
        return RowCounter()

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        return np.asarray(stored.values, bool)

    def complaint(self, stored: Stored, row: int) -> str:
        return "has no input"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> S:
        raise NotImplementedError("the inputs' specifications tell it")

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: S, place: str) -> NDArray[Any]:
        return np.asarray(stored.values[rows])

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        return {}
