"""Explanations of some examples, and how true they are: every explainer beside chance, on the same examples."""

import copy
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Attention, Batch
from attnpred.explain import faithfulness, truth
from attnpred.explain.base import Explainer, look, make
from attnpred.explain.interval import interval
from attnpred.explain.removal import check
from attnpred.models.base import Model

FLOOR = "random"
PASSES = 10_000  # spent at most on leaving parts out one by one, to correlate ranks with


@dataclass(frozen=True)
class Explained:
    """A batch, what the model makes of it, and every explainer's importance, (batch, parts) each."""

    batch: Batch
    logits: Tensor  # (batch, classes)
    target: Tensor  # (batch,): the classes explained, which are those predicted
    attention: Attention
    maps: dict[str, Tensor]


class Study:
    """Explains batches as they come and gathers what was measured of each example."""

    def __init__(self, model: Model, names: Iterable[str], removal: Removal | None = None) -> None:
        self.model = model
        self.removal = check(removal, model.spec.modality)
        self.explainers: dict[str, Explainer] = {name: make(name, model) for name in names}
        self.floor = make(FLOOR, model)
        self.leave_one_out = make("occlusion", model)
        self.scores: dict[str, defaultdict[str, list[Tensor]]] = {
            name: defaultdict(list) for name in (*self.explainers, FLOOR)
        }
        self.curves: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in self.scores}
        self.seconds = dict.fromkeys(self.explainers, 0.0)  # that each took
        self.examples = 0
        self.passes = 0

    def explain(self, batch: Batch) -> Explained:
        with torch.no_grad():
            logits, attention = look(self.model, batch, layers=True)
        target = logits.argmax(1)
        maps = {}
        for name, explainer in self.explainers.items():
            started = time.perf_counter()
            maps[name] = explainer(batch, target)
            self.seconds[name] += time.perf_counter() - started
        return Explained(batch, logits, target, attention, maps)

    def measure(self, explained: Explained) -> None:
        batch, target, grid = explained.batch, explained.target, explained.attention.grid
        evidence = truth.of_parts(batch, grid)
        alone = self._left_out(explained)
        for name, importance in {**explained.maps, FLOOR: self.floor(batch, target)}.items():
            found = faithfulness.measure(self.model, batch, target, importance, self.removal, grid)
            scores = found.scores()
            if alone is not None:
                scores["rank_correlation"] = faithfulness.rank_correlation(importance, alone, batch)
            if evidence is not None:
                scores |= truth.scores(importance, evidence)
            for score, values in scores.items():
                self.scores[name][score].append(values.float().cpu())
            self.curves[name].append((found.deletion.cpu(), found.insertion.cpu()))
        self.examples += len(batch)

    def _left_out(self, explained: Explained) -> Tensor | None:
        """Each part's own effect, while there is time for that."""
        if "occlusion" in explained.maps:
            return explained.maps["occlusion"]
        cost = explained.attention.importance.numel()
        if self.passes + cost > PASSES:
            return None
        self.passes += cost
        return self.leave_one_out(explained.batch, explained.target)

    def result(self) -> dict[str, Any]:
        """Means with the bounds of their intervals, and curves, as plain containers."""
        curves = {
            name: {
                "deletion": torch.cat([deletion for deletion, _ in found]).mean(0).tolist(),
                "insertion": torch.cat([insertion for _, insertion in found]).mean(0).tolist(),
            }
            for name, found in self.curves.items()
        }
        scores = {
            name: {score: list(interval(torch.cat(values).numpy())) for score, values in found.items()}
            for name, found in self.scores.items()
        }
        return {
            "removal": self.removal,
            "examples": self.examples,
            "fractions": faithfulness.fractions(),
            "scores": scores,
            "curves": curves,
        }


def sanity(model: Model, names: Iterable[str], batches: Iterable[Batch]) -> dict[str, float]:
    """How alike maps are to those of the same model with its weights shuffled: the mean rank correlation.

    After Adebayo et al. (2018). One whose maps stay alike tells of the input or the model's shape, not what it learned.
    """
    other = shuffled(model)
    found: defaultdict[str, list[Tensor]] = defaultdict(list)
    explainers = {name: (make(name, model), make(name, other)) for name in names}
    for batch in batches:
        with torch.no_grad():
            target = look(model, batch, layers=False)[0].argmax(1)
        for name, (learned, forgotten) in explainers.items():
            maps = learned(batch, target), forgotten(batch, target)
            found[name].append(faithfulness.rank_correlation(*maps, batch))
    return {name: float(torch.cat(values).mean()) for name, values in found.items()}


def shuffled(model: Model, seed: int = 0) -> Model:
    """A copy whose every weight tensor holds the same numbers in another order."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for p in other.parameters():
        order = torch.randperm(p.numel(), generator=generator).to(p.device)
        p.data = p.data.flatten()[order].view(p.shape)
    return other
