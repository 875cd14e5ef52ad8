"""Explanations of some examples, and how true they are: every explainer beside chance, on the same examples."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Attention, Batch, ModelOutput
from attnpred.explain import faithfulness, truth
from attnpred.explain.against_chance import FLOOR, Scores, Values, against_chance, by_explainer
from attnpred.explain.base import Explainer, evidence_parts, look, make, own_parts
from attnpred.explain.cascade import shuffled
from attnpred.explain.fidelity import f_fidelity
from attnpred.explain.inputs import InputStudy
from attnpred.explain.removal import Removing, second
from attnpred.models.base import Model
from attnpred.statistics import interval
from attnpred.tasks.base import Task

PASSES = 10_000  # spent at most on leaving parts out one by one, to correlate ranks with


@dataclass(frozen=True)
class Explained:
    """A batch, what the model makes of it, and every explainer's importance, (batch, parts) each."""

    batch: Batch
    output: ModelOutput
    choice: Tensor  # (batch,): what of each answer is explained
    attention: Attention
    maps: dict[str, Tensor]
    # of further choices: (batch,) each, and their maps; where an example has none, its choice is the usual one again
    further: Sequence[tuple[Tensor, dict[str, Tensor]]] = ()


class Study:
    """Explains batches as they come and gathers what was measured of each example.

    `protocol`: by everything there is, at three times the passes; `twin` is the same model from another seed, whose
    maps are compared.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        names: Iterable[str],
        removal: Removal | None = None,
        *,
        protocol: bool = False,
        twin: Model | None = None,
    ) -> None:
        names = list(names)
        self.model, self.task, self.protocol = model, task, protocol
        self.removing = Removing(model, task, removal)
        other = second(self.removing.removal, model.spec) if protocol else None
        self.second = None if other is None else Removing(model, task, other)
        self.twins = {} if twin is None else {name: make(name, twin, task) for name in names}
        self.explainers: dict[str, Explainer] = {name: make(name, model, task) for name in names}
        self.floor = make(FLOOR, model, task)
        self.leave_one_out = make("occlusion", model, task)
        self.scores: list[Scores] = []  # of each example measured
        self.curves: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in (*self.explainers, FLOOR)}
        self.second_curves: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self.curves}
        self.seconds = dict.fromkeys(self.explainers, 0.0)  # that each took
        self.explained = dict.fromkeys(self.explainers, 0)  # maps that each made
        self.inputs = InputStudy(self.removing) if len(model.spec.inputs) > 1 else None
        self.passes = 0

    def explain(self, batch: Batch) -> Explained:
        with torch.no_grad():
            output, attention = look(self.model, batch, layers=True)
            batch, choice = self.task.held(output, batch), self.task.choose(output)
            if self.model.spec.answer.answers:  # each has an attention of its own
                _, attention = look(self.model, batch, layers=True, choice=choice)
        maps = self._maps(batch, choice)
        further = []
        for other in self.task.further(output, choice, batch):
            rows = (other != choice).nonzero()[:, 0]
            found = self._maps(batch.rows(rows), other[rows]) if len(rows) else {}
            further.append((other, {name: maps[name].index_copy(0, rows, some) for name, some in found.items()}))
        return Explained(batch, output, choice, attention, maps, further)

    def _maps(self, batch: Batch, choice: Tensor) -> dict[str, Tensor]:
        """Every explainer's importance, (batch, parts) each."""
        maps = {}
        for name, explainer in self.explainers.items():
            started = time.perf_counter()
            maps[name] = explainer(batch, choice)
            self.seconds[name] += time.perf_counter() - started
            self.explained[name] += len(batch)
        return maps

    def measure(self, explained: Explained) -> None:
        batch, choice, grids = explained.batch, explained.choice, explained.attention.grids
        own = own_parts(batch, grids)
        evidence = evidence_parts(batch, grids)
        alone = self._left_out(explained)
        measured: list[Scores] = [{} for _ in range(len(batch))]
        maps = {**explained.maps, FLOOR: self.floor(batch, choice)}
        if self.inputs is not None:
            self.inputs.measure(batch, choice, maps, grids)
        for name, importance in maps.items():
            found = faithfulness.measure(self.removing, batch, choice, importance, grids)
            scores = found.scores()
            if alone is not None:
                scores["rank_correlation"] = faithfulness.rank_correlation(importance, alone, own)
            if self.protocol:
                scores["f_fidelity"] = f_fidelity(self.removing, batch, choice, importance, grids)
            if self.second is not None:
                again = faithfulness.measure(self.second, batch, choice, importance, grids)
                self.second_curves[name].append((again.deletion.cpu(), again.insertion.cpu()))
            if name in self.twins:
                scores["agreement"] = faithfulness.rank_correlation(importance, self.twins[name](batch, choice), own)
            _note(measured, name, scores, range(len(batch)))
            if evidence is not None:
                _note(measured, name, truth.scores(importance, evidence), evidence.any(1).nonzero()[:, 0].tolist())
            self.curves[name].append((found.deletion.cpu(), found.insertion.cpu()))
        self.scores += measured

    def _left_out(self, explained: Explained) -> Tensor | None:
        """Each part's own effect, while there is time for that."""
        if "occlusion" in explained.maps:
            return explained.maps["occlusion"]
        cost = explained.attention.importance.numel()
        if self.passes + cost > PASSES:
            return None
        self.passes += cost
        return self.leave_one_out(explained.batch, explained.choice)

    def result(self) -> dict[str, Any]:
        """Means with the bounds of their intervals, tests against chance, and curves, as plain containers."""
        curves, values = _joined(self.curves), by_explainer(self.scores)
        _add(values, "racu", faithfulness.between(curves, FLOOR))
        if self.second is not None:
            _add(values, "racu_second", faithfulness.between(_joined(self.second_curves), FLOOR))
        scores = {
            name: {score: list(interval(np.array(list(numbers.values())))) for score, numbers in found.items()}
            for name, found in values.items()
        }
        return {
            "removal": self.removing.removal,
            **({} if self.second is None else {"second_removal": self.second.removal}),
            "examples": len(self.scores),
            **({} if self.inputs is None else {"inputs": self.inputs.result()}),
            "fractions": faithfulness.fractions(),
            "scores": scores,
            "tests": against_chance(values),
            "curves": {
                name: {"deletion": deletion.mean(0).tolist(), "insertion": insertion.mean(0).tolist()}
                for name, (deletion, insertion) in curves.items()
            },
        }


def _joined(curves: dict[str, list[tuple[Tensor, Tensor]]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Each explainer's curves of deletion and insertion, (examples, points), over all batches."""
    return {
        name: (torch.cat([deletion for deletion, _ in found]), torch.cat([insertion for _, insertion in found]))
        for name, found in curves.items()
    }


def _add(values: Values, measure: str, found: dict[str, Tensor]) -> None:
    for name, numbers in found.items():
        values.setdefault(name, {})[measure] = dict(enumerate(numbers.tolist()))


def _note(measured: list[Scores], name: str, scores: dict[str, Tensor], rows: Iterable[int]) -> None:
    """Keeps an explainer's scores, one number for each of the rows."""
    for score, numbers in scores.items():
        for row, value in zip(rows, numbers.tolist(), strict=True):
            measured[row].setdefault(name, {})[score] = value


def sanity(model: Model, task: Task, names: Iterable[str], batches: Iterable[Batch]) -> dict[str, float]:
    """How alike maps are to those of the same model with its weights shuffled: the mean rank correlation.

    After Adebayo et al. (2018). One whose maps stay alike tells of the input or the model's shape, not what it learned.
    """
    other = shuffled(model)
    found: defaultdict[str, list[Tensor]] = defaultdict(list)
    explainers = {name: (make(name, model, task), make(name, other, task)) for name in names}
    for batch in batches:
        with torch.no_grad():
            output, attention = look(model, batch, layers=False)
        batch = task.held(output, batch)
        choice, own = task.choose(output), own_parts(batch, attention.grids)
        for name, (learned, forgotten) in explainers.items():
            maps = learned(batch, choice), forgotten(batch, choice)
            found[name].append(faithfulness.rank_correlation(*maps, own))
    return {name: float(torch.cat(values).mean()) for name, values in found.items()}
