"""A model as a function of plain tensors, which is what an exporter can take: answer and importance come out of it."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from attnpred.contracts import Batch, Input, ModelOutput
from attnpred.models.base import Model
from attnpred.models.views import answered

EXAMPLES = 2  # at least, of a batch that is traced: an axis of one is taken for one that never changes
SO_FAR = "so_far"  # of an answer that is a sequence, the tokens that are given: (batch, steps)
Named = tuple[str, str, str]  # of a tensor: its own name, that of its input, and that of its field


class Wrapped(nn.Module):
    """Takes a batch's tensors by name, and gives what `named` names, in that order."""

    def __init__(self, model: Model, like: Batch, *, mirror: bool) -> None:
        """`like`: a batch that says what else its inputs hold, such as how many special tokens there are."""
        super().__init__()
        self.model, self.mirror = model, mirror
        self.like = replace(like, inputs={name: general(one) for name, one in like.inputs.items()}, targets={})

    def forward(self, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        own: dict[str, dict[str, Tensor]] = {name: {} for name in self.like.inputs}
        for known, name, field in _names(self.like):
            own[name][field] = tensors[known]
        inputs = {name: replace(one, **own[name]) for name, one in self.like.inputs.items()}
        first = next(iter(tensors.values()))
        for value in tensors.values():
            torch._check(value.shape[0] == first.shape[0])  # all are of as many examples
        batch = Batch(
            inputs=inputs,
            targets={},
            ids=torch.arange(first.shape[0], device=first.device),
            given=tensors.get(SO_FAR),
        )
        return tuple(named(answered(self.model, batch, mirror=self.mirror, need_attention=True)).values())


def named(output: ModelOutput) -> dict[str, Tensor]:
    """What an export gives, by name. Importance is (batch, parts); some kinds of answers have more."""
    assert output.attention is not None
    found = {"answer": output.answer.float(), "importance": output.attention.importance.float()}
    if output.answered is not None:
        found["answered"] = output.answered
    if output.attention.steps is not None:
        found["alignment"] = output.attention.steps.float()
    if output.chain is not None:
        found |= {"numbers": output.chain.numbers.float(), "steps": output.chain.steps.float()}
    return found


def general(given: Input) -> Input:
    """The input with what holds for any batch: some examples may be shorter, and no evidence is known."""
    changed: dict[str, Any] = {"evidence": None}
    if any(f.name == "padded" for f in fields(given)):
        changed["padded"] = True
    return replace(given, **changed)


def tensors_of(batch: Batch) -> dict[str, Tensor]:
    """A batch's tensors by the names that an export gives them."""
    found: dict[str, Tensor] = {known: getattr(batch.inputs[name], field) for known, name, field in _names(batch)}
    return found if batch.given is None else {**found, SO_FAR: batch.given}


def axes_of(batch: Batch) -> dict[str, dict[int, str]]:
    """Of each tensor the axes whose size differs from batch to batch, by what they count."""
    found = {}
    for known, name, field in _names(batch):
        length = "length" if len(batch.inputs) == 1 else f"{name}_length"
        found[known] = {0: "batch", **dict.fromkeys(batch.inputs[name].varying().get(field, ()), length)}
    return found if batch.given is None else {**found, SO_FAR: {0: "batch", 1: "steps"}}


def dynamic(batch: Batch) -> dict[str, dict[int, Any]]:
    """The axes as `torch.export` is told of them: one that a model takes for fixed is an error."""
    return {name: dict.fromkeys(axes, Dim.DYNAMIC) for name, axes in axes_of(batch).items()}


def _names(batch: Batch) -> Iterator[Named]:
    """Every tensor of the inputs: `tokens`; of several inputs `question_tokens`."""
    for name, one in batch.inputs.items():
        for f in fields(one):
            if isinstance(getattr(one, f.name), Tensor) and f.name != "evidence":
                yield (f.name if len(batch.inputs) == 1 else f"{name}_{f.name}"), name, f.name
