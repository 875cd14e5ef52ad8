"""A layer of a pre-norm transformer encoder."""

import math
from typing import Any

from torch import Tensor, nn

from attnpred.models.attention import MultiHeadAttention
from attnpred.models.dropout import ExampleDropout
from attnpred.models.fused import linear_gelu
from attnpred.models.positions import Rotation

LINEAR_DEVIATION = 0.02


class Layer(nn.Module):
    """Attention and MLP, each on a normalised copy of the residual stream and added to it."""

    def __init__(self, config: Any) -> None:
        """`config`: a transformer's options."""
        super().__init__()
        hidden = max(round(config.width * config.mlp_ratio), 1)
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = MultiHeadAttention(config.width, config.heads, config.attention_dropout)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.grow = nn.Linear(config.width, hidden)
        self.shrink = nn.Linear(hidden, config.width)
        self.dropout = ExampleDropout(config.dropout)

    def forward(
        self, x: Tensor, *, keep: Tensor | None, rotation: Rotation | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """x (batch, length, width) -> the same shape, and (batch, heads, length, length) where asked"""
        read, weights = self.attention(self.attention_norm(x), keep=keep, rotation=rotation, need_weights=need_weights)
        x = x + self.dropout(read)
        return x + self.dropout(self.shrink(linear_gelu(self.grow, self.mlp_norm(x)))), weights


def initialise(model: nn.Module, depth: int) -> None:
    """Draws the weights of every linear map in a model of so many layers."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            # What is added to the residual stream shrinks with depth, so that its scale does not grow with it
            shrink = math.sqrt(2 * depth) if name.endswith((".out", ".shrink")) else 1.0
            nn.init.trunc_normal_(module.weight, std=LINEAR_DEVIATION / shrink)
            nn.init.zeros_(module.bias)
