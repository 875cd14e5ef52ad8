"""Attention's backward pass on a CPU, several times faster than the one that comes with the fused kernel.

The fused kernel is quick forward and slow backward. Here the backward pass is a handful of matrix products over blocks
of heads that stay in the cache. So memory grows with the length, as it does in the fused kernel, not its square.
"""

from typing import Any

import torch
from torch import Tensor

from attnpred.models.dropout import drop_mask

SHORT = 128 * 128  # weights a head below which storing them for the backward pass is cheaper than making them again
BLOCK = 2**20  # weights worked on at once
NEVER = -30_000.0  # a score that no softmax sees, and that every number format can hold


def suits(query: Tensor, key: Tensor) -> bool:
    """Whether each query may have keys of its own hidden: of short sequences, whose weights are stored."""
    return query.shape[2] * key.shape[2] <= SHORT


def attend(
    query: Tensor,  # (batch, heads, query, head_dim)
    key: Tensor,  # (batch, heads, key, head_dim)
    value: Tensor,  # (batch, heads, key, head_dim)
    keep: Tensor | None,  # (batch, 1, 1, key) bool; (1, 1, query, key) where it `suits`
    dropout: float,
    scale: float,
) -> Tensor:
    """What is read, (batch, heads, query, head_dim), differentiable."""
    hidden = None if keep is None else torch.zeros_like(keep, dtype=query.dtype).masked_fill_(~keep, NEVER)
    if query.shape[2] * key.shape[2] > SHORT:
        read: Tensor = _LongAttention.apply(query, key, value, hidden, dropout, scale)
        return read
    scores = (query * scale) @ key.transpose(2, 3)
    weights = (scores if hidden is None else scores + hidden).softmax(-1)
    if dropout:
        weights = weights * drop_mask(weights.shape, dropout, weights)
    return weights @ value


class _LongAttention(torch.autograd.Function):
    """Keeps the fused kernel's logarithms of the softmax's sums, from which blocks of weights are made again."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, dropout: float, scale: float
    ) -> Tensor:
        read, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=hidden, scale=scale
        )
        ctx.dropout, ctx.scale = dropout, scale
        # drawn again, alike, in the backward pass: kept masks would grow with the square of the length
        ctx.seed = int(torch.randint(2**62, ())) if dropout else None
        if dropout:
            blocks = _Blocks(query, key, hidden, log_sum, scale)
            values, read = value.flatten(0, 1), query.new_empty(query.shape)
            random = torch.Generator().manual_seed(ctx.seed)
            for block, weights in blocks:  # (heads, key, query)
                weights *= drop_mask(weights.shape, dropout, weights, random)
                torch.bmm(weights.transpose(1, 2), values[block], out=read.flatten(0, 1)[block])
        ctx.save_for_backward(query, key, value, hidden, read, log_sum)
        return read

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, hidden, read, log_sum = ctx.saved_tensors
        (grad,) = grads  # (batch, heads, query, head_dim)
        scaled = (query * ctx.scale).flatten(0, 1)
        keys = (key * ctx.scale).flatten(0, 1)
        outer = grad.flatten(0, 1)
        wide = torch.promote_types(grad.dtype, torch.float32)
        share = (grad.to(wide) * read).sum(-1, keepdim=True)  # (batch, heads, query, 1)
        blocks = _Blocks(query, key, hidden, log_sum, ctx.scale)
        # products with appended columns subtract the share at the matrix unit's own precision
        columns = torch.cat((grad, *_split(-share, grad.dtype)), -1).flatten(0, 1)
        rows = torch.cat((value, value.new_ones(1).expand(*value.shape[:3], 2)), -1).flatten(0, 1)
        d_query, d_key, d_value = (
            torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)
        )
        room = blocks.room()
        random = torch.Generator().manual_seed(ctx.seed) if ctx.dropout else None
        for block, weights in blocks:  # (heads, key, query)
            d_scores = room[: len(weights)]
            if random is None:
                torch.bmm(rows[block], columns[block].transpose(1, 2), out=d_scores).mul_(weights)
            else:
                kept = drop_mask(weights.shape, ctx.dropout, weights, random)
                torch.bmm(rows[block, :, :-2], columns[block, :, :-2].transpose(1, 2), out=d_scores).mul_(kept)
                d_scores.sub_(share.flatten(0, 1)[block].transpose(1, 2)).mul_(weights)
                weights *= kept
            torch.bmm(weights, outer[block], out=d_value.flatten(0, 1)[block])
            torch.bmm(d_scores, scaled[block], out=d_key.flatten(0, 1)[block])
            torch.bmm(d_scores.transpose(1, 2), keys[block], out=d_query.flatten(0, 1)[block])
        return d_query, d_key, d_value, None, None, None


class _Blocks:
    """Attention weights before dropout, (heads of a block, key, query), in one place that the next block overwrites."""

    def __init__(self, query: Tensor, key: Tensor, hidden: Tensor | None, log_sum: Tensor, scale: float) -> None:
        parts = key.shape[:3]
        masked = key.new_zeros(1) if hidden is None else hidden.transpose(2, 3)
        ones = key.new_ones(1)
        # scores less the logarithm of their sum, by appended columns: exact where the weights are large
        self._columns = torch.cat(
            (query * scale, *_split(-log_sum[..., None], query.dtype), ones.expand(*query.shape[:3], 1)), -1
        ).flatten(0, 1)
        self._rows = torch.cat((key, ones.expand(*parts, 2), masked.expand(*parts, 1)), -1).flatten(0, 1)
        self._size = min(max(BLOCK // (query.shape[2] * key.shape[2]), 1), len(self._rows))

    def room(self) -> Tensor:
        return self._rows.new_empty(self._size, self._rows.shape[1], self._columns.shape[1])

    def __iter__(self) -> Any:
        room = self.room()
        for start in range(0, len(self._rows), self._size):
            block = slice(start, start + self._size)
            rows = self._rows[block]
            yield block, torch.bmm(rows, self._columns[block].transpose(1, 2), out=room[: len(rows)]).exp_()


def _split(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """float32 as the sum of two numbers of a narrower format."""
    high = x.to(dtype)
    return high, (x - high).to(dtype)
