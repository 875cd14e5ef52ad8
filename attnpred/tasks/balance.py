"""How much each of several losses weighs: as it is told, by its uncertainty, or by the norm of its gradient.

Weights are moved by their own rule at every step of training, beside the optimizer: plain numbers, kept with the task.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attnpred.errors import UserError
from attnpred.tasks.several_options import Weighting

RATE = 0.025  # of a step of the weights' logarithms
FARTHEST = 4.0  # logarithm that no weight exceeds, either way


class Balance:
    """`uncertainty` descends the objective of Kendall et al. (2018), whose weights tend to one over each loss.

    `gradient_norms` makes the weighted losses' gradients, in the last layers that all share, equally long; those of a
    loss that has fallen less are longer (GradNorm, Chen et al. 2018).
    """

    def __init__(self, kind: Weighting, count: int, asymmetry: float) -> None:
        self.kind, self.asymmetry = kind, asymmetry
        self.logs = torch.zeros(count)  # of the weights
        self.first: Tensor | None = None  # losses, (count,)

    def weights(self, device: torch.device) -> Tensor:
        """(count,) float32"""
        if self.logs.device != device:
            self.logs = self.logs.to(device)
        return self.logs.exp()

    @torch.no_grad()
    def learn(self, losses: Sequence[Tensor], shares: Sequence[float], model: nn.Module) -> None:
        """Moves the weights by what a step of training has seen; `shares` are the weights that the options give."""
        if self.kind == "fixed":
            return
        weights = self.weights(losses[0].device)
        now = _over_processes(torch.stack([loss.detach().float() for loss in losses]))
        if self.kind == "uncertainty":  # of exp(-s) loss + s, the slope in s = -log(weight) is 1 - weight x loss
            step = 1 - weights * now
        else:
            norms = _over_processes(_norms(losses, model)) * torch.tensor(shares, device=now.device)
            self.first = now if self.first is None else self.first.to(now.device)
            fallen = now / self.first.clamp(min=1e-8)
            wanted = (weights * norms).mean() * (fallen / fallen.mean().clamp(min=1e-8)) ** self.asymmetry
            step = (wanted.clamp(min=1e-8) / (weights * norms).clamp(min=1e-8)).log()
        logs = self.logs + RATE * step.clamp(-FARTHEST, FARTHEST)
        if self.kind == "gradient_norms":  # only their ratios are at stake
            logs = logs - logs.exp().mean().log()
        self.logs = logs.clamp(-FARTHEST, FARTHEST)

    def state(self) -> dict[str, Any]:
        if self.kind == "fixed":
            return {}
        return {"logs": self.logs.tolist(), "first": None if self.first is None else self.first.tolist()}

    def load(self, state: Any) -> None:
        """ValueError where that is not what `state` gave."""
        if self.kind == "fixed" and state == {}:
            return
        if not isinstance(state, dict) or state.keys() != {"logs", "first"}:
            raise ValueError("holds no weights of losses")
        logs, first = (None if state[key] is None else torch.tensor(state[key]) for key in ("logs", "first"))
        if logs is None or any(
            t is not None and (t.shape != self.logs.shape or not t.isfinite().all()) for t in (logs, first)
        ):
            raise ValueError("holds weights of other losses")
        self.logs, self.first = logs.float(), None if first is None else first.float()


def _norms(losses: Sequence[Tensor], model: Any) -> Tensor:
    """Of each loss, the length of its gradient in the last layer that all answers are made from: (count,)."""
    if getattr(model, "_compiled_call_impl", None) is not None:
        raise UserError(
            "task.weighting=gradient_norms: cannot see a compiled model's gradients; set trainer.compile=false"
        )
    levels = model.levels()
    shared = [p for level in levels[:-1] or levels for p in _trained(level)]
    last = next((found for level in reversed(levels[:-1]) if (found := _trained(level))), shared)
    if not last:
        raise UserError(
            "task.weighting=gradient_norms: no layer below the answers is trained; use uncertainty or fixed"
        )
    norms: list[Tensor] = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, last, retain_graph=True, allow_unused=True)
        squares = [g.float().square().sum() for g in gradients if g is not None]
        norms.append(torch.stack(squares).sum().sqrt() if squares else loss.detach().float() * 0)
    return torch.stack(norms)


def _trained(level: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [p for module in level for p in module.parameters() if p.requires_grad]


def _over_processes(values: Tensor) -> Tensor:
    """The mean over all processes that train, so that their weights stay the same."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
        values = values / torch.distributed.get_world_size()
    return values
