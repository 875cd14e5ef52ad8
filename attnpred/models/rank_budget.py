"""Ranks of low-rank adapters, shared out over a network's maps: those that matter least are taken away (AdaLoRA)."""

from typing import Any

import torch
from torch import Tensor, nn

WIDER = 1.5  # times the mean rank, that adapters begin with
FIRST, LAST = 0.1, 0.4  # shares of training before ranks are taken away, and after that
SMOOTH = 0.85  # of the running means of how much a weight matters, and of how much that changes


class RankBudget(nn.Module):
    """How much each weight of each adapter mattered so far; kept in checkpoints, so that a run goes on exactly.

    An adapter is a product of factors A, E and B, of which E holds a number a rank. How much a weight matters is
    its size times its gradient, smoothed, times how much that changes.
    """

    def __init__(self, network: nn.Module, target: int) -> None:
        super().__init__()
        # in a plain list, so that they are no modules of this one too
        self._adapters: list[Any] = [m for m in network.modules() if hasattr(m, "lora_E")]
        self.target = target
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.steps: Tensor
        for number, factors in enumerate(self._factors()):
            for name, factor in factors.items():
                self.register_buffer(f"{name}_{number}_size", torch.zeros_like(factor))
                self.register_buffer(f"{name}_{number}_change", torch.zeros_like(factor))

    def _factors(self) -> list[dict[str, nn.Parameter]]:
        return [
            {name: getattr(adapter, f"lora_{name}")["default"] for name in ("A", "E", "B")}
            for adapter in self._adapters
        ]

    @torch.no_grad()
    def after_step(self, total: int) -> None:
        """Takes away what matters least, after an optimizer step of `total`."""
        self.steps += 1
        scores = []
        for number, factors in enumerate(self._factors()):
            found = {name: self._mattering(name, number, factor) for name, factor in factors.items()}
            # of each rank: its number, and the mean of its row and of its column
            scores.append(found["E"][:, 0] + found["A"].mean(1) + found["B"].mean(0))
        kept = self._kept(total, sum(len(score) for score in scores))
        together = torch.cat(scores)
        gone = torch.ones_like(together, dtype=torch.bool).index_fill(0, together.topk(kept).indices, False)
        for some, factors in zip(gone.split([len(score) for score in scores]), self._factors(), strict=True):
            factors["E"].masked_fill_(some[:, None], 0.0)

    def _mattering(self, name: str, number: int, factor: nn.Parameter) -> Tensor:
        size, change = (getattr(self, f"{name}_{number}_{what}") for what in ("size", "change"))
        if factor.grad is not None:
            now = (factor * factor.grad).abs()
            change.mul_(SMOOTH).add_((now - size).abs(), alpha=1 - SMOOTH)
            size.mul_(SMOOTH).add_(now, alpha=1 - SMOOTH)
        return size * change

    def _kept(self, total: int, there: int) -> int:
        """How many ranks are left at this step, in all adapters together: fewer by the cube of what is to come."""
        aim = self.target * len(self._adapters)
        begin, end = FIRST * total, (1 - LAST) * total
        to_come = 1 - min(max((int(self.steps) - begin) / max(end - begin, 1), 0.0), 1.0)
        return min(there, round(aim + (there - aim) * to_come**3))
