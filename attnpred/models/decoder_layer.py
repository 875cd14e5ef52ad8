"""A layer of a pre-norm transformer decoder: it attends what was generated so far, and what the encoder made."""

from typing import Any

from torch import Tensor, nn

from attnpred.models.attention import MultiHeadAttention, attend
from attnpred.models.dropout import Dropout
from attnpred.models.fused import linear_gelu
from attnpred.models.key_value_cache import KeyValueCache
from attnpred.models.positions import Rotation

KeysAndValues = tuple[Tensor, Tensor]  # each (sentences, heads, source, head_dim)


class CrossAttention(nn.Module):
    """Attention of what is generated to what was read."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def remembered(self, memory: Tensor) -> KeysAndValues:
        """Keys and values of memory, (sentences, source, width): the same for every step."""
        sentences, source, width = memory.shape
        made = self.key_value(memory).view(sentences, source, 2 * self.heads, width // self.heads).transpose(1, 2)
        key, value = made.chunk(2, dim=1)
        return key, value

    def forward(
        self, x: Tensor, remembered: KeysAndValues, *, keep: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """x (sentences, steps, width) -> the same shape, and (sentences, heads, steps, source) where asked."""
        sentences, steps, width = x.shape
        query = self.query(x).view(sentences, steps, self.heads, width // self.heads).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        read, weights = attend(query, *remembered, keep=keep, dropout=dropout, need_weights=need_weights)
        return self.out(read.transpose(1, 2).reshape(sentences, steps, width)), weights


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and MLP, each on a normalised copy of the residual stream and added to it."""

    def __init__(self, config: Any) -> None:
        """`config`: an encoder-decoder's options."""
        super().__init__()
        hidden = max(round(config.width * config.mlp_ratio), 1)
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = MultiHeadAttention(config.width, config.heads, config.attention_dropout, causal=True)
        self.cross_norm = nn.LayerNorm(config.width)
        self.cross = CrossAttention(config.width, config.heads, config.attention_dropout)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.grow = nn.Linear(config.width, hidden)
        self.shrink = nn.Linear(hidden, config.width)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,  # (rows, steps, width)
        remembered: KeysAndValues,
        *,
        keep: Tensor | None,  # (sentences, source)
        rotation: Rotation | None,
        need_weights: bool = False,
        need_own_weights: bool = False,
        cache: KeyValueCache | None = None,
        lineage: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """-> the same shape, and the weights of the cross-attention, (rows, heads, steps, source), where asked.

        With a `cache` there is one step, and a sentence may have several rows, which follow one another; `lineage` is
        what each may attend of what the cache holds.
        """
        normed = self.attention_norm(x)
        own, _ = self.attention(normed, keep=lineage, rotation=rotation, need_weights=need_own_weights, cache=cache)
        x = x + self.dropout(own)
        # the rows of a sentence ask the same memory, as if they were its steps
        asking = self.cross_norm(x).view(remembered[0].shape[0], -1, x.shape[2])
        read, weights = self.cross(asking, remembered, keep=keep, need_weights=need_weights)
        x = x + self.dropout(read.view(x.shape))
        return x + self.dropout(self.shrink(linear_gelu(self.grow, self.mlp_norm(x)))), weights
