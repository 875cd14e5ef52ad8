"""How maps fall apart as a model forgets what it learned, layer by layer from the answer down (Adebayo et al. 2018)."""

import copy
from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from attnpred.contracts import Batch
from attnpred.explain.base import look, make, own_parts
from attnpred.explain.faithfulness import rank_correlation
from attnpred.models.base import Model
from attnpred.tasks.base import Task

STAGES = 6  # into which more levels than that are put together


def cascade(model: Model, task: Task, names: Iterable[str], batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Of each explainer the mean rank correlation of its maps with the trained model's, at each of the stages.

    A map that tells of what was learned is alike no more once the levels that it hangs on have forgotten it.
    """
    stages = list(forgetting(model))
    found: dict[str, list[float]] = {}
    for name in names:
        learned, maps = make(name, model, task), []
        for batch in batches:
            with torch.no_grad():
                output, attention = look(model, batch, layers=False)
            choice = task.choose(output)
            maps.append((batch, choice, learned(batch, choice), own_parts(batch, attention.grids)))
        alike: defaultdict[int, list[Tensor]] = defaultdict(list)
        for number, other in enumerate(stages):
            forgotten = make(name, other, task)
            for batch, choice, importance, own in maps:
                alike[number].append(rank_correlation(importance, forgotten(batch, choice), own))
        found[name] = [float(torch.cat(values).mean()) for values in alike.values()]
    return found


def forgetting(model: Model) -> Iterable[Model]:
    """Copies whose weights are shuffled at the answer, then further and further down, at last everywhere."""
    levels = len(model.levels())
    for stage in range(min(levels, STAGES), 0, -1):
        lowest = (stage - 1) * levels // min(levels, STAGES)
        yield shuffled(model, lowest)


def shuffled(model: Model, lowest: int = 0, seed: int = 0) -> Model:
    """A copy in which every weight tensor from that level up holds the same numbers in another order."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for p in _weights(other, lowest):
        order = torch.randperm(p.numel(), generator=generator).to(p.device)
        p.data = p.data.flatten()[order].view(p.shape)
    return other


def _weights(model: Model, lowest: int) -> list[nn.Parameter]:
    if lowest == 0:
        return list(model.parameters())
    above = {id(p) for modules in model.levels()[lowest:] for module in modules for p in module.parameters()}
    return [p for p in model.parameters() if id(p) in above]
