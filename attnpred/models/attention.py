"""The attention that every model shares: one function, the block around it, and the pooling that ends a model."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.contracts import AnswerSpec
from attnpred.machine.device import number_format
from attnpred.models import cpu_attention
from attnpred.models.key_value_cache import KeyValueCache

Pooling = Literal["attention", "cls", "mean"]


def attend(
    query: Tensor,  # (batch, heads, query, head_dim)
    key: Tensor,  # (batch, heads, key, head_dim)
    value: Tensor,  # (batch, heads, key, head_dim)
    *,
    keep: Tensor | None,
    dropout: float,
    need_weights: bool,
    scale: float | None = None,
    causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention: what is read, (batch, heads, query, head_dim), and the weights where asked.

    `keep` is True where a key may be attended, (batch, key) or four dimensions that broadcast to the weights; every
    query needs at least one. Unless asked for weights, the fused kernel runs and stores nothing of query x key, but for
    a few short sequences on a CPU; the weights, (batch, heads, query, key) in float32 and before dropout, come with
    the same result within rounding. `dropout` is applied as given, so a caller passes 0 outside training. With `causal`
    a query attends no key behind its own place; it takes no `keep`, since padding is behind all else.
    """
    mask = keep[:, None, None, :] if keep is not None and keep.dim() == 2 else keep
    own_backward = query.device.type == "cpu" and (dropout or (torch.is_grad_enabled() and query.requires_grad))
    if causal:
        assert mask is None
        own_backward = own_backward and cpu_attention.suits(query, key)
        if need_weights or own_backward:
            mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()[None, None]
    elif mask is not None and mask.shape[-2] != 1:
        own_backward = False
    if need_weights:
        return _attend_explicitly(query, key, value, mask, dropout, scale)
    if own_backward:
        query, key, value = (t.to(number_format(query)) for t in (query, key, value))
        return cpu_attention.attend(query, key, value, mask, dropout, scale or query.shape[-1] ** -0.5), None
    read = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale
    )
    return read, None


def _attend_explicitly(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, scale: float | None
) -> tuple[Tensor, Tensor]:
    device, number = query.device.type, number_format(query)
    # The fused kernel rounds its inputs to autocast's format but keeps scores in float32; so must this
    wide = torch.promote_types(number, torch.float32)
    with torch.autocast(device, enabled=False):
        query, key, value = query.to(number), key.to(number), value.to(number)
        scores = (query.to(wide) * (scale or query.shape[-1] ** -0.5)) @ key.to(wide).transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        weights = scores.softmax(dim=-1)
        return F.dropout(weights, dropout).to(number) @ value, weights


class MultiHeadAttention(nn.Module):
    """Self-attention over a sequence; `rotation` is the (cos, sin) that turns queries and keys by their positions.

    With `causal` no place attends one behind it.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, *, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.heads, self.head_dim = heads, width // heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,  # (batch, length, width)
        *,
        keep: Tensor | None = None,
        rotation: tuple[Tensor, Tensor] | None = None,
        need_weights: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """With a `cache`, x is one place behind those that it holds, to which it is added; `keep` is the lineage's."""
        batch, length, _ = x.shape
        qkv = self.qkv(x).view(batch, length, 3 * self.heads, self.head_dim)
        turned, value = qkv.split((2 * self.heads, self.heads), dim=2)
        if rotation is not None:
            turned = rotate(turned, *rotation)
        query, key = turned.chunk(2, dim=2)
        dropout = self.dropout if self.training else 0.0
        if cache is None:  # each (batch, heads, length, head_dim)
            query, key, value = (t.transpose(1, 2) for t in (query, key, value))
        else:
            query, key, value = map(cache.by_sentence, (query, key, value))
            key, value = cache.extended(key, value)
        causal = self.causal and cache is None
        read, weights = attend(query, key, value, keep=keep, dropout=dropout, need_weights=need_weights, causal=causal)
        return self.out(read.transpose(1, 2).flatten(2)).view(x.shape), weights


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each pair of channels (i, i + half) of x, (batch, length, heads, head_dim), by the angles of its position.

    `cos` and `sin` are (length, head_dim / 2). Spelt out for every head they let each product run through memory in a
    row, which takes half of the time that products over half heads do.
    """
    shape = x.shape[1:]
    cosine = torch.cat((cos, cos), dim=-1).to(x.dtype)[:, None].expand(shape).contiguous()
    sine = torch.cat((-sin, sin), dim=-1).to(x.dtype)[:, None].expand(shape).contiguous()
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cosine, torch.cat((second, first), dim=-1), sine)


class Pool(nn.Module):
    """Normalises the features of a sequence and makes one vector of them.

    `attention` weighs the positions by a learned query, zero at the start, so that training begins from the mean;
    `mean` weighs them alike; `cls` takes the first position. `scale` multiplies the query's products and so sets how
    fast the weights leave the mean: the usual width**-0.5 leaves them there for a whole training.

    Of several `answers` each has a query of its own, and so a vector and weights: (batch, answers, …).
    """

    def __init__(self, width: int, kind: Pooling, *, scale: float = 1.0, answers: int = 0) -> None:
        super().__init__()
        self.kind = kind
        self.scale = scale
        self.norm = nn.LayerNorm(width)
        self.answers = answers
        sizes = (answers, width) if answers else (width,)
        self.query = nn.Parameter(torch.zeros(sizes)) if kind == "attention" else None

    def forward(self, x: Tensor, own: Tensor | None, *, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        """x (batch, length, width), own (batch, length) -> (batch, width), and weights (batch, length) where asked"""
        x = self.norm(x)
        if self.kind == "cls":
            first = (torch.arange(x.shape[1], device=x.device) == 0).float().expand(x.shape[0], -1)
            return x[:, 0], first if need_weights else None
        if self.query is None:
            weights = normalise(x.new_ones(x.shape[:2]), own)  # (batch, length)
            pooled = x.mean(1) if own is None else (x * weights.to(x.dtype)[..., None]).sum(1)
            return pooled, weights if need_weights else None
        query = self.query.to(x.dtype).expand(x.shape[0], 1, self.answers or 1, -1)
        x = x[:, None]  # one head: (batch, 1, length, width)
        read, attended = attend(query, x, x, keep=own, dropout=0.0, need_weights=need_weights, scale=self.scale)
        place: Any = (slice(None), 0) if self.answers else (slice(None), 0, 0)
        return read[place], None if attended is None else attended[place]


class Head(nn.Linear):
    """From what was pooled, (batch, width), or (batch, answers, width), the numbers of the answer: (batch, numbers)."""

    def __init__(self, width: int, answer: AnswerSpec) -> None:
        super().__init__(width, answer.width)
        self.widths = [one.width for one in answer.answers]

    def forward(self, pooled: Tensor) -> Tensor:
        if pooled.ndim == 2 or not self.widths:
            return super().forward(pooled)
        parts = zip(pooled.unbind(1), self.weight.split(self.widths), self.bias.split(self.widths), strict=True)
        return torch.cat([F.linear(*part) for part in parts], dim=1)


def of_chosen(each: Tensor, spec: AnswerSpec, answer: Tensor, choice: Tensor | None) -> Tensor:
    """(batch, answers, …) -> (batch, …): of several answers' that of the one that is explained; else what was given."""
    if each.ndim == 2:
        return each
    which = spec.which(spec.choose(answer) if choice is None else choice)
    return each[torch.arange(each.shape[0], device=each.device), which]


def normalise(scores: Tensor, own: Tensor | None) -> Tensor:
    """Restricts non-negative scores, (batch, parts), to an example's own parts and makes them sum to 1, in float32.

    Where nothing is left, the own parts share alike.
    """
    scores = scores.float()
    kept = torch.ones_like(scores) if own is None else own.float()
    scores = scores * kept
    total = scores.sum(-1, keepdim=True)
    return torch.where(total > 0, scores, kept) / torch.where(total > 0, total, kept.sum(-1, keepdim=True))


def pass_through(share: Tensor, weights: Tensor) -> Tensor:
    """What each position receives when `share`, (batch, query), flows through a layer's weights averaged over heads."""
    return (share[:, None, :] @ weights.mean(dim=1)).squeeze(1)  # (batch, key)
