"""What a search asks for, as a value: whoever keeps its trials needs to know no more of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnpred.sweep.space import Dimension, Value
from attnpred.sweep.state import Direction
from attnpred.sweep.study import Place


@dataclass(frozen=True, kw_only=True)
class Search:
    fixed: Sequence[str]  # overrides of every job
    dimensions: Sequence[Dimension]
    grid: Sequence[dict[str, Value]]  # every combination, where all are tried
    n_trials: int
    objective: dict[str, Direction]
    devices: int | None  # that each job asks for; None leaves the choice to the launcher
    seed: int
    sampler: str
    pruner: str
    startup_trials: int
    warmup: int
    patience: int
    study_name: str | None
    place: Place | None  # None: a journal in the sweep's directory
    storage: Any  # Optuna's, of that place

    @property
    def in_memory(self) -> bool:
        return self.place is not None and self.place.address == "memory"
