"""How a sequence model is told where each part stands: along a text, or in rows and columns of an image."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

PositionKind = Literal["learned", "sinusoidal", "rotary"]
Rotation = tuple[Tensor, Tensor]  # cos and sin, each (length, head_dim / 2)

# Of tokens, patches and their places at first. Much smaller, and what the layers add, alike for all parts, drowns the
# parts' own features, so that the pooling finds nothing to tell them apart by.
EMBEDDING_DEVIATION = 0.2
SLOWEST_TEXT, SLOWEST_IMAGE = 10_000.0, 100.0  # longest wave, in tokens and in patches, over 2 pi


class Positions(nn.Module):
    """Adds positions to the parts' features, or gives the rotation that attention applies to queries and keys.

    `grid` makes them two-dimensional: half of the channels tell the row, half the column.
    """

    def __init__(
        self, kind: PositionKind, *, width: int, head_dim: int, length: int, grid: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.head_dim = head_dim
        self.grid = grid
        self.table = nn.Parameter(torch.empty(length, width)) if kind == "learned" else None
        if self.table is not None:
            nn.init.trunc_normal_(self.table, std=EMBEDDING_DEVIATION)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """(batch, parts, width) -> the same shape, positions added where they are of a kind that is added.

        `start` is the place of the first part.
        """
        end = start + x.shape[1]
        if self.table is not None:
            return x + self.table[start:end]
        if self.kind == "rotary":
            return x
        angles = self._angles(end, x.shape[2], x.device)[start:]
        # As large as the embeddings, or words would drown in their places
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1) * (EMBEDDING_DEVIATION * math.sqrt(2))
        return x + waves.to(x.dtype)

    def rotation(self, parts: int, device: torch.device, *, before: int) -> Rotation | None:
        """Of the parts, and of `before` positions in front that have no place; None where positions are added."""
        if self.kind != "rotary":
            return None
        angles = nn.functional.pad(self._angles(parts, self.head_dim, device), (0, 0, before, 0))
        return angles.cos(), angles.sin()

    def _angles(self, parts: int, size: int, device: torch.device) -> Tensor:
        """(parts, size / 2) in float32 whatever the weights' format: low precision would blur far positions."""
        place = torch.arange(parts, device=device, dtype=torch.float32)[:, None]
        if self.grid is not None:
            columns = self.grid[1]
            place = torch.cat((place.div(columns, rounding_mode="floor"), place % columns), dim=1)  # (parts, 2)
        pairs = size // (2 * place.shape[1])
        slowest = SLOWEST_TEXT if self.grid is None else SLOWEST_IMAGE
        rates = slowest ** -(torch.arange(pairs, device=device, dtype=torch.float32) / pairs)
        return (place[:, :, None] * rates).flatten(1)
