"""What packages bring to training: callbacks, losses, metrics and changes to batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from attnpred.config import packages, schema
from attnpred.config.options import CallbackConfig, metric_name
from attnpred.contracts import Batch, ModelOutput
from attnpred.errors import UserError
from attnpred.tasks.base import Task

Augment = Callable[[Batch, int], Batch]


def check(chosen: Mapping[str, CallbackConfig]) -> None:
    """Imports their classes, and refuses those that are of another kind, before anything is prepared."""
    kinds: dict[Any, str] = {}
    for name, options in chosen.items():
        found = _kind(name, options)
        other = kinds.setdefault(found, name)
        keyless = found.state_key is Callback.state_key and found.state_dict is not Callback.state_dict
        if other != name and keyless:  # whose states checkpoints could not tell apart
            raise UserError(
                f"callbacks.{name}: is of the same class as {other}; give that class a state_key of each one's"
            )


def make(chosen: Mapping[str, CallbackConfig]) -> list[Callback]:
    return [_kind(name, options)(options) for name, options in chosen.items()]


def _kind(name: str, options: CallbackConfig) -> Any:
    place = f"callbacks.{name}._target_"
    found = schema.load(options._target_, place)
    if not issubclass(found, Callback):
        raise UserError(f"{place}={options._target_}: is no Callback of Lightning's; derive it from that")
    return found


class FurtherMetrics(torch.nn.Module):
    """The metrics that `task.further_metrics` names, of one split."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        made = {metric_name(name): packages.resolve_class(name, "task.further_metrics")() for name in names}
        self.members: Any = torch.nn.ModuleDict(made)

    def update(self, answer: Tensor, targets: Mapping[str, Tensor]) -> None:
        for metric in self.members.values():
            metric.update(answer.float(), *targets.values())

    def results(self) -> dict[str, Tensor]:
        """Their values, which must be scalars; they begin anew."""
        found = {}
        for name, metric in self.members.items():
            found[name] = metric.compute().float()
            metric.reset()
            if found[name].numel() != 1:
                raise UserError(f"task.further_metrics: {name} gives {found[name].numel()} numbers; it must give one")
        return found


def loss_of(task: Task) -> Callable[[ModelOutput, Batch], Tensor]:
    """The task's own loss, or that of the function that its options name."""
    name = task.config.loss_function
    if name is None:
        return task.loss
    function = packages.resolve(name, "task.loss_function")
    return lambda output, batch: function(output.answer.float(), *batch.targets.values())


def augmenting(own: Augment | None, names: Sequence[str]) -> Augment | None:
    """The dataset's own changes to training batches, then those of the functions named."""
    steps = [*([] if own is None else [own]), *(packages.resolve(name, "data.augment_with") for name in names)]
    if not steps:
        return None

    def changed(batch: Batch, epoch: int) -> Batch:
        for step in steps:
            batch = step(batch, epoch)
        return batch

    return steps[0] if len(steps) == 1 else changed
