"""A table of token vectors whose gradient costs what the batch's tokens cost, not what the vocabulary does."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Embedding(nn.Embedding):
    """Hands the same gradient tensor out again after each step and blanks only the rows that were written.

    A fresh one is the whole table's size: making it is a large part of a small model's step on a CPU. `reclaim`, called
    where gradients are dropped, is what brings it back; without, a fresh one is made. A GPU makes one in no time, but
    would have to wait until it knows which rows are in use.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shared = False  # whether the table has another use too, whose gradient lies in all rows
        self._managed = False
        self._written: list[Tensor] = []  # rows of the gradient, once `reclaim` is known to be called
        self._spare: Tensor | None = None  # a former gradient, zero but for the rows `_stale`
        self._stale: list[Tensor] = []

    @classmethod
    def of(cls, table: nn.Embedding) -> "Embedding":
        """The same table, with the weights that it has."""
        return cls(table.num_embeddings, table.embedding_dim, table.padding_idx, _weight=table.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.shared:
            return super().forward(tokens)
        if tokens.device.type == "cpu" and torch.is_grad_enabled() and self.weight.requires_grad:
            found: Tensor = _Lookup.apply(self.weight, tokens, self)
            return found
        return super().forward(tokens)

    def reclaim(self) -> None:
        """Drops the gradient and keeps its memory."""
        if self._managed and self.weight.grad is not None and not self.shared:
            self._spare, self._stale = self.weight.grad, self._written
        self.weight.grad, self._written, self._managed = None, [], True

    def blank_gradient(self) -> Tensor:
        """Zeros in the shape of the table. The caller owns them: kept here too, autograd would copy them."""
        spare, self._spare = self._spare, None
        if spare is None:
            return torch.zeros_like(self.weight)
        for rows in self._stale:
            spare.index_fill_(0, rows, 0)
        return spare

    def note(self, rows: Tensor) -> None:
        if self._managed:
            self._written.append(rows)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor, table: Embedding) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(tokens)
        return F.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        table: Embedding = ctx.table
        (tokens,) = ctx.saved_tensors
        rows, places = tokens.unique(return_inverse=True)  # places: (batch, length), numbers among the rows
        sums = torch.ops.aten.embedding_dense_backward(grads[0], places, len(rows), -1, False)
        gradient = table.blank_gradient()
        gradient.index_copy_(0, rows, sums.to(gradient.dtype))
        if table.padding_idx is not None:
            gradient[table.padding_idx] = 0
        table.note(rows)
        return gradient, None, None
