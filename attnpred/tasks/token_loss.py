"""Cross-entropy over a vocabulary, with label smoothing, for logits too large to be copied.

Softmax in float32 of logits in bf16 would be written to memory several times over. Here blocks of rows go through the
cache once forward and once backward.
"""

from typing import Any

import torch
from torch import Tensor

ROWS = 64  # at once: as many as stay in the cache, of ten thousand logits each


def token_losses(logits: Tensor, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
    """logits (rows, vocabulary), tokens (rows,), -1 where there is none -> (rows,) float32, 0 where there is none."""
    found: Tensor = _CrossEntropy.apply(logits, tokens, smoothing)
    return found


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, smoothing: float) -> Tensor:
        losses, log_sums = (logits.new_empty(len(logits), dtype=torch.float32) for _ in range(2))
        wanted = tokens.clamp(min=0)[:, None]
        for rows in _blocks(logits):
            wide = logits[rows].float()
            log_sum = wide.logsumexp(1)
            target = wide.gather(1, wanted[rows])[:, 0]
            losses[rows] = log_sum - (1 - smoothing) * target
            if smoothing:
                losses[rows] -= smoothing * wide.mean(1)
            log_sums[rows] = log_sum
        ctx.smoothing = smoothing
        ctx.save_for_backward(logits, tokens, log_sums)
        return losses.masked_fill_(tokens < 0, 0.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        logits, tokens, log_sums = ctx.saved_tensors
        slope = grads[0].masked_fill(tokens < 0, 0.0)[:, None]  # (rows, 1)
        wanted, found = tokens.clamp(min=0)[:, None], torch.empty_like(logits)
        for rows in _blocks(logits):
            chances = (logits[rows].float() - log_sums[rows, None]).exp_()
            if ctx.smoothing:
                chances -= ctx.smoothing / logits.shape[1]
            chances.scatter_add_(1, wanted[rows], chances.new_full((len(chances), 1), ctx.smoothing - 1))
            found[rows] = chances.mul_(slope[rows])
        return found, None, None


def _blocks(logits: Tensor) -> list[slice]:
    size = ROWS if logits.device.type == "cpu" else max(len(logits), 1)
    return [slice(start, start + size) for start in range(0, len(logits), size)]
