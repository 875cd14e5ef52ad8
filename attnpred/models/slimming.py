"""Structured pruning: attention heads, MLP units and channels leave a model, and its matrices shrink.

A unit is a slice of what some modules write, which others read. Without it both are smaller and nothing else changes.
Which units are left is an option of the model, so that a slim model is made, trained and loaded like any other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attnpred.errors import UserError
from attnpred.models.attention import MultiHeadAttention
from attnpred.models.layer import Layer
from attnpred.models.resnet_blocks import Block, PlainStage

Kept = Mapping[str, str]  # of each group the units that are left, a bit each, as hexadecimal digits


@dataclass(frozen=True)
class Slice:
    """Where a module holds a unit: `size` rows (axis 0) or columns (axis 1) of it, in each of `parts` stacked parts."""

    module: nn.Module
    axis: int
    size: int = 1
    parts: int = 1


@dataclass(frozen=True)
class Group:
    """Units that do one thing and can leave one by one; `reader` is the module that all of them are read by."""

    name: str
    count: int
    reader: nn.Module
    slices: Sequence[Slice]
    size: int = 1  # features of a unit, as the reader gets it
    settle: Callable[[int], None] = field(default=lambda left: None)  # tells the modules how many are left

    @property
    def cost(self) -> int:
        """Weights that a unit has."""
        numbers = 0
        for one in self.slices:
            for value in _weights(one.module, one.axis):
                numbers += value.numel() // self.count
        return numbers

    def keep(self, units: Tensor) -> None:
        """units (left,): their places, rising."""
        for one in self.slices:
            rows = _rows(units, self.count, one)
            for name, value in _named(one.module, one.axis):
                _replace(one.module, name, value.index_select(one.axis if value.ndim > 1 else 0, rows))
            _resized(one.module, one.axis, len(rows))
        self.settle(len(units))


def groups(model: nn.Module) -> list[Group]:
    """All that can leave a model, in the order of its modules."""
    return [group for name, module in model.named_modules() for group in _of(name, module)]


def _of(name: str, module: nn.Module) -> Iterator[Group]:
    if isinstance(module, MultiHeadAttention):
        size = module.head_dim
        slices = [Slice(module.qkv, 0, size, 3), Slice(module.out, 1, size)]
        yield Group(f"{name}.heads", module.heads, module.out, slices, size, _sets(module, "heads"))
    elif isinstance(module, Layer):
        yield _between(f"{name}.units", module.grow, module.shrink)
    elif isinstance(module, Block):
        yield _between(f"{name}.channels", module.first, module.second, module.first_norm)
    elif isinstance(module, PlainStage) and not module.around and len(module.convs):
        yield _between(f"{name}.channels", module.enter, module.convs[0], module.enter_norm)
    elif hasattr(module, "fused_attn") and _has(module, "qkv", "proj"):  # timm
        yield _timm(name, module)
    elif _has(module, "fc1", "fc2"):
        yield _between(f"{name}.units", module.fc1, module.fc2)
    elif _has(module, "self.query", "self.key", "self.value", "output.dense"):  # BERT and its kin
        yield _bert(name, module)
    elif _has(module, "intermediate.dense", "output.dense"):
        yield _between(f"{name}.units", _at(module, "intermediate.dense"), _at(module, "output.dense"))


def _between(name: str, writer: Any, reader: Any, norm: Any = None) -> Group:
    """Units that one module writes and the next one reads."""
    count = writer.weight.shape[0]
    slices = [Slice(writer, 0), Slice(reader, 1)]
    if isinstance(norm, nn.BatchNorm2d):
        slices.append(Slice(norm, 0))
    return Group(name, count, reader, slices)


def _timm(name: str, module: Any) -> Group:
    size = module.qkv.weight.shape[0] // (3 * module.num_heads)

    def settle(left: int) -> None:
        module.num_heads = left
        if hasattr(module, "attn_dim"):
            module.attn_dim = left * size

    slices = [Slice(module.qkv, 0, size, 3), Slice(module.proj, 1, size)]
    return Group(f"{name}.heads", module.num_heads, module.proj, slices, size, settle)


def _bert(name: str, module: Any) -> Group:
    own, out = _at(module, "self"), _at(module, "output.dense")
    size = own.attention_head_size

    def settle(left: int) -> None:
        own.num_attention_heads, own.all_head_size = left, left * size

    slices = [*(Slice(getattr(own, one), 0, size) for one in ("query", "key", "value")), Slice(out, 1, size)]
    return Group(f"{name}.heads", own.num_attention_heads, out, slices, size, settle)


def shrink(model: nn.Module, kept: Kept) -> None:
    """Leaves in a model what `kept` names; groups that it does not name stay whole."""
    known = {group.name: group for group in groups(model)}
    for name, digits in kept.items():
        if name not in known:
            raise UserError(f"model.slim: {name} is nothing that can be pruned here; take what attnpred slim found")
        known[name].keep(units_of(digits, known[name].count, name))


def units_of(digits: str, count: int, name: str) -> Tensor:
    """(left,): the places that have a bit."""
    try:
        bits = int(digits, 16)
    except ValueError:
        raise UserError(f"model.slim: {name}={digits[:20]} is no hexadecimal number; restore it") from None
    if not 0 < bits < 1 << count:
        raise UserError(f"model.slim: {name} has {count} units, and {digits[:20]} leaves none or others; restore it")
    return torch.tensor([place for place in range(count) if bits >> place & 1])


def digits_of(units: Sequence[int]) -> str:
    return f"{sum(1 << place for place in units):x}"


def within(kept: Kept, before: Kept, counts: Mapping[str, int]) -> dict[str, str]:
    """What `kept` leaves of a whole model, as places among those that `before` left: what a slim one still loses."""
    found = {}
    for name, digits in kept.items():
        wanted = units_of(digits, counts[name], name).tolist()
        there = units_of(before[name], counts[name], name).tolist() if name in before else list(range(counts[name]))
        if set(wanted) - set(there):
            raise UserError(f"model.slim: {name} names units that the run to begin from has lost; begin from another")
        found[name] = digits_of([there.index(place) for place in wanted])
    return found


@torch.no_grad()
def sparsify(model: nn.Module, share: float) -> None:
    """Sets the smallest weights of every matrix and kernel to 0, and keeps there in training whatever is 0."""
    if not share:
        return
    for module in model.modules():
        if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        weight = module.weight
        smallest = weight.abs().flatten().argsort()[: int(share * weight.numel())]
        weight.view(-1)[smallest] = 0.0
        if weight.requires_grad:
            weight.register_hook(lambda slope, weight=weight: slope * (weight != 0))


def _sets(module: Any, name: str) -> Callable[[int], None]:
    return lambda left: setattr(module, name, left)


def _has(module: nn.Module, *places: str) -> bool:
    return all(isinstance(_at(module, place), nn.Linear) for place in places)


def _at(module: Any, place: str) -> Any:
    for name in place.split("."):
        module = getattr(module, name, None)
    return module


def _rows(units: Tensor, count: int, one: Slice) -> Tensor:
    """Which rows of a module belong to these units."""
    features = torch.arange(count * one.size).view(count, one.size)[units].flatten()
    return torch.cat([part * count * one.size + features for part in range(one.parts)])


def _named(module: Any, axis: int) -> list[tuple[str, Tensor]]:
    """The module's tensors that the axis goes through."""
    names = ("weight", "bias", "running_mean", "running_var") if axis == 0 else ("weight",)
    return [(name, value) for name in names if isinstance(value := getattr(module, name, None), Tensor)]


def _weights(module: Any, axis: int) -> list[Tensor]:
    return [value for _, value in _named(module, axis) if isinstance(value, nn.Parameter)]


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    old = getattr(module, name)
    if isinstance(old, nn.Parameter):
        setattr(module, name, nn.Parameter(value.detach().clone(), requires_grad=old.requires_grad))
    else:
        setattr(module, name, value.clone())


def _resized(module: Any, axis: int, size: int) -> None:
    """The numbers that a module keeps beside its weights."""
    names = {0: ("out_features", "out_channels", "num_features"), 1: ("in_features", "in_channels")}[axis]
    for name in names:
        if hasattr(module, name):
            setattr(module, name, size)
