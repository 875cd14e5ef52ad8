"""A model as a function of plain tensors, which is what an exporter can take: answer and importance come out of it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from attnpred.contracts import Batch, Input, ModelOutput
from attnpred.models.base import Model
from attnpred.models.views import answered

EXAMPLES = 2  # at least, of a batch that is traced: an axis of one is taken for one that never changes


class Wrapped(nn.Module):
    """Takes the tensors of a batch's inputs by name, and gives what `outputs` names, in that order."""

    def __init__(self, model: Model, like: Batch, *, mirror: bool) -> None:
        """`like`: a batch that says what else its inputs hold, such as how many special tokens there are."""
        super().__init__()
        self.model, self.mirror = model, mirror
        self.like = {name: general(one) for name, one in like.inputs.items()}

    def forward(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        inputs = {name: replace(one, **_own(tensors, name, self.like)) for name, one in self.like.items()}
        first = next(iter(tensors.values()))
        batch = Batch(inputs=inputs, targets={}, ids=torch.arange(first.shape[0], device=first.device))
        return tuple(named(answered(self.model, batch, mirror=self.mirror, need_attention=True)).values())


def named(output: ModelOutput) -> dict[str, Tensor]:
    """What an export gives, by name. Importance is (batch, parts); the rest is there for answers a part alone."""
    assert output.attention is not None
    found = {"answer": output.answer.float(), "importance": output.attention.importance.float()}
    if output.answered is not None:
        found["answered"] = output.answered
    if output.chain is not None:
        found |= {"numbers": output.chain.numbers.float(), "steps": output.chain.steps.float()}
    return found


def general(given: Input) -> Input:
    """The input with what holds for any batch: some examples may be shorter, and no evidence is known."""
    changed: dict[str, Any] = {"evidence": None}
    if any(f.name == "padded" for f in fields(given)):
        changed["padded"] = True
    return replace(given, **changed)


def tensors_of(inputs: Mapping[str, Input]) -> dict[str, Tensor]:
    """The tensors of a batch's inputs by the names that an export gives them."""
    found = {}
    for name, one in inputs.items():
        for f in fields(one):
            value = getattr(one, f.name)
            if isinstance(value, Tensor) and f.name != "evidence":
                found[tensor_name(name, f.name, inputs)] = value
    return found


def tensor_name(name: str, field: str, inputs: Mapping[str, Any]) -> str:
    """`tokens`; of several inputs `question_tokens`."""
    return field if len(inputs) == 1 else f"{name}_{field}"


def axes_of(inputs: Mapping[str, Input]) -> dict[str, dict[int, str]]:
    """Of each tensor the axes whose size differs from batch to batch, by what they count."""
    found = {}
    for name, one in inputs.items():
        length = "length" if len(inputs) == 1 else f"{name}_length"
        for f in fields(one):
            if isinstance(getattr(one, f.name), Tensor) and f.name != "evidence":
                axes = {0: "batch", **dict.fromkeys(one.varying().get(f.name, ()), length)}
                found[tensor_name(name, f.name, inputs)] = axes
    return found


def dynamic(inputs: Mapping[str, Input]) -> dict[str, dict[int, Any]]:
    """The axes as `torch.export` is told of them: one that a model takes for fixed is an error."""
    return {name: dict.fromkeys(axes, Dim.DYNAMIC) for name, axes in axes_of(inputs).items()}


def _own(tensors: Mapping[str, Tensor], name: str, inputs: Mapping[str, Input]) -> dict[str, Tensor]:
    one = inputs[name]
    names = {f.name: tensor_name(name, f.name, inputs) for f in fields(one)}
    return {field: tensors[known] for field, known in names.items() if known in tensors}
