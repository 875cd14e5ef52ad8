"""Which units of a trained model its answers and its attention feel least, down to a target of size or time."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from attnpred.contracts import Batch
from attnpred.errors import UserError
from attnpred.models import slimming
from attnpred.models.base import Model
from attnpred.models.slimming import Group, Kept
from attnpred.tasks.base import Task

ROUNDS = 9  # of timing
HALVINGS = 7  # of the range in which a target of time is sought


def sensitivity(model: Model, task: Task, batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Of each group how much answers and attention feel each unit, (count,): shares that sum to 1 over all groups.

    A unit is multiplied by 1. What the explained score and the importance would do as that falls to 0 is told by
    their gradients, one an example (Michel et al. 2019); their squares are summed, and both count alike.
    """
    found = slimming.groups(model)
    if not found:
        raise UserError(f"{type(model).__name__}: nothing of it can be pruned but single weights; take --unstructured")
    answers = {group.name: torch.zeros(group.count) for group in found}
    attention = {group.name: torch.zeros(group.count) for group in found}
    random = torch.Generator().manual_seed(0)
    for batch in batches:
        with _masked(found) as masks, torch.enable_grad():
            output = model(batch, need_attention=True, need_layers=False)
            assert output.attention is not None
            score = task.score(output, task.choose(output), linear=True).sum()
            importance = output.attention.importance
            signs = torch.randint(0, 2, importance.shape, generator=random) * 2.0 - 1
            _add(answers, score, masks)
            _add(attention, (importance * signs).sum(), masks)
    felt = [_shares(answers), _shares(attention)]
    return {group.name: sum((one[group.name] for one in felt), torch.zeros(group.count)) / 2 for group in found}


@contextmanager
def _masked(found: Sequence[Group]) -> Iterator[dict[str, Tensor]]:
    """Has every group's reader multiply its units by ones, a row an example, whose gradients can be asked."""
    masks: dict[str, Tensor] = {}

    def hook(group: Group) -> Callable[..., Any]:
        def multiplied(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            x, *rest = given  # (batch, …, features), or (batch, channels, rows, columns)
            ones = masks[group.name] = torch.ones(x.shape[0], group.count, requires_grad=True)
            spread = ones.repeat_interleave(group.size, 1)
            image = x.ndim == 4 and isinstance(module, nn.Conv2d)
            shape = (*spread.shape, 1, 1) if image else (x.shape[0], *[1] * (x.ndim - 2), spread.shape[1])
            return (x * spread.view(shape), *rest)

        return multiplied

    handles = [group.reader.register_forward_pre_hook(hook(group)) for group in found]
    try:
        yield masks
    finally:
        for handle in handles:
            handle.remove()


def _add(sums: dict[str, Tensor], value: Tensor, masks: Mapping[str, Tensor]) -> None:
    if not value.requires_grad:  # nothing that can leave is felt by it
        return
    slopes = torch.autograd.grad(value, list(masks.values()), retain_graph=True, allow_unused=True)
    for name, slope in zip(masks, slopes, strict=True):
        if slope is not None:
            sums[name] += slope.square().sum(0)


def _shares(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    total = sum(float(one.sum()) for one in sums.values())
    return {name: one / total if total > 0 else one for name, one in sums.items()}


def countable(model: nn.Module) -> int:
    """The model's weights without tables of embeddings, of which nothing can leave and which take no time."""
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in tables)


def to_parameters(model: Model, felt: Mapping[str, Tensor], share: float) -> dict[str, list[int]]:
    """The places that are left of each group, so that the model keeps this share of its countable weights.

    What is felt least for its weights leaves first; of every group one unit stays.
    """
    found = {group.name: group for group in slimming.groups(model)}
    order = sorted(
        (float(value) / found[name].cost, name, place)
        for name, values in felt.items()
        for place, value in enumerate(values)
    )
    left = {name: set(range(group.count)) for name, group in found.items()}
    now = whole = countable(model)
    for _, name, place in order:
        if now <= share * whole:
            break
        if len(left[name]) > 1:
            left[name].remove(place)
            now -= found[name].cost
    if now > share * whole:
        raise UserError(
            f"--parameters {share:g}: what can be pruned leaves {now / whole:.2f} of the weights at least; ask for more"
        )
    return {name: sorted(places) for name, places in left.items() if len(places) < found[name].count}


def to_latency(model: Model, felt: Mapping[str, Tensor], share: float, batch: Batch) -> dict[str, list[int]]:
    """As `to_parameters`, so that a forward pass takes this share of the time that it takes now, on this machine."""
    low, high, best = 0.0, 1.0, None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        try:
            kept = to_parameters(model, felt, middle)
        except UserError:
            low = middle
            continue
        other = copy.deepcopy(model)
        slimming.shrink(other, {name: slimming.digits_of(places) for name, places in kept.items()})
        if latency(other, model, batch) <= share:
            low, best = middle, kept
        else:
            high = middle
    if best is None:
        raise UserError(f"--latency {share:g}: no pruning of this model brings it there; ask for more")
    return best


@torch.inference_mode()
def latency(one: Model, other: Model, batch: Batch) -> float:
    """The time of a forward pass of `one` as a share of that of `other`: the median of several, by turns."""
    ratios = []
    for turn in range(ROUNDS + 1):  # the first warms up
        seconds = []
        for model in (one, other):
            started = time.perf_counter()
            model(batch, need_attention=True, need_layers=False)
            seconds.append(time.perf_counter() - started)
        ratios += [seconds[0] / seconds[1]] if turn else []
    return statistics.median(ratios)


def beyond(before: Kept, left: Mapping[str, Sequence[int]], counts: Mapping[str, int]) -> dict[str, str]:
    """What is left of the whole model, where `left` are places among those that `before` had left of it."""
    found = dict(before)
    for name, places in left.items():
        whole = int(before[name], 16).bit_length() if name in before else counts[name]
        there = slimming.units_of(before[name], whole, name).tolist() if name in before else range(counts[name])
        found[name] = slimming.digits_of([there[place] for place in places])
    return found
