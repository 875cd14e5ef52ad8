"""Muon for matrices and convolution kernels: momentum whose singular values are brought near to 1.

torch ships one that multiplies in bf16 whatever the machine has, and takes matrices alone. Where bf16 is only emulated,
it takes longer than all the rest of a training step.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from attnpred.machine.device import bf16_unit

# Jordan 2024: x (a + b x^2 + c x^4), five times over, lifts any singular value in (0, 1] to about 0.7 to 1.2
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
STEP = 0.2  # times the longer side's root: steps as large as AdamW's, so that one rate suits both (Liu et al. 2025)
TURN = 20  # times the rate is a step's share of a held norm, in every parameter: 6e-3 turns each by 12 %


class Muon(Optimizer):
    """Its momentum is kept in the shape of `as_matrix`.

    `hold_norm` brings each parameter back to the norm that it started with, unless that was 0. Where a normalisation
    follows, the norm says nothing, but it grows with every step, and the next one then turns the parameter by less. And
    steps are then in proportion to it, since what is small otherwise turns faster than what is large.
    """

    def __init__(self, params: list[dict[str, Any]], momentum: float, *, hold_norm: bool = False) -> None:
        super().__init__(params, {"lr": 0.0, "momentum": momentum, "weight_decay": 0.0})
        self.hold_norm = hold_norm

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        assert closure is None
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                gradient = as_matrix(p.grad, like=p)
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                    if self.hold_norm:
                        state["norm"] = p.norm()
                speed = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
                step = orthogonal(gradient.lerp(speed, momentum)).to(p.dtype)  # Nesterov's look ahead
                size: float | Tensor = rate * STEP * math.sqrt(max(step.shape))
                if self.hold_norm:  # decided on the device, which would have to be waited for
                    norm, whole = state["norm"], math.sqrt(min(step.shape))  # of a step whose singular values are 1
                    size = torch.where(norm > 0, norm * (rate * TURN / whole), size)
                p.mul_(1 - rate * group["weight_decay"])
                p.sub_(as_kernels(step.mul_(size), like=p))
                if self.hold_norm:
                    p.mul_(torch.where(norm > 0, norm / p.norm(), 1.0))


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values near to 1, in the format that its device multiplies fastest."""
    tall = len(matrix) > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(torch.bfloat16 if bf16_unit(matrix.device.type) else torch.float32)
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def as_matrix(kernels: Tensor, like: Tensor) -> Tensor:
    """(out, in, rows, columns) -> (out, in x rows x columns), in the order of `like`'s memory."""
    if like.is_contiguous():
        return kernels.flatten(1)
    return kernels.permute(0, 2, 3, 1).flatten(1)


def as_kernels(matrix: Tensor, like: Tensor) -> Tensor:
    """The way back from `as_matrix`."""
    if like.is_contiguous():
        return matrix.view_as(like)
    _, channels, rows, columns = like.shape
    return matrix.unflatten(1, (rows, columns, channels)).permute(0, 3, 1, 2)
