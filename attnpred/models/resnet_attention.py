"""A residual network for images, with a choice of attention inside it and a pooling that says where it looked."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attnpred.config import Modality, ModelConfig
from attnpred.contracts import Attention, Batch, ImageBatch, ImageSpec, InputSpec, ModelOutput
from attnpred.models.attention import MultiHeadAttention, Pool, normalise, pass_through
from attnpred.models.base import Model, PixelNorm
from attnpred.models.dropout import Dropout
from attnpred.models.fused import conv_relu
from attnpred.schema import Invalid, option

SMALLEST_MAP = 4  # rows and columns below which a stage no longer halves the map


@dataclass(kw_only=True)
class ResnetAttentionConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("image",)

    width: int = option("Channels of the first stage; each further stage doubles them.", ge=8)
    depth: int = option("Residual blocks a stage.", ge=1)
    stages: int = option("Stages; each after the first halves the map, while it stays at least 4x4.", ge=1, le=5)
    early: bool = option("Halve the map in the first stage too, and give the stem half of its channels: faster.")
    attention: Literal["none", "se", "cbam", "self"] = option(
        "Channel gates in every block (se), channel and spatial gates (cbam), or self-attention after the last stage."
    )
    heads: int = option("Heads of the self-attention.", ge=1)
    pooling: Literal["attention", "mean"] = option("How the last map becomes one vector: learned weights, or the mean.")
    dropout: float = option("Share of the pooled features dropped in training.", ge=0, lt=1)

    def check(self) -> None:
        last = self.width * 2 ** (self.stages - 1)
        if self.attention == "self" and last % self.heads:
            raise Invalid(
                "heads", f"must divide the last stage's {last} channels (width={self.width}, stages={self.stages})"
            )


class ResnetAttention(Model):
    """Importance lies on the last map's grid and comes from whatever spatial attention there is.

    `none` and `se`: the pooling's weights. `cbam`: those times the last block's spatial gate, brought back to sum 1.
    `self`: those pushed through 0.5 (I + A), A being the self-attention averaged over heads and I the residual path
    around it. With `pooling=mean` the pooling's weights are uniform. `layers` holds the self-attention as (batch,
    heads, parts, parts), or the last spatial gate, between 0 and 1, as (batch, 1, 1, parts).
    """

    def __init__(self, config: ResnetAttentionConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        assert isinstance(spec, ImageSpec)
        self.normalise = PixelNorm(spec)
        channels = config.width // 2 if config.early else config.width
        self.stem = nn.Sequential(_conv(spec.channels, channels), nn.BatchNorm2d(channels))
        blocks = []
        smallest = min(spec.height, spec.width)
        for stage in range(config.stages):
            inner = config.width * 2**stage
            for place in range(config.depth):
                halves = (stage > 0 or config.early) and not place and -(-smallest // 2) >= SMALLEST_MAP
                smallest = -(-smallest // 2) if halves else smallest
                blocks.append(Block(channels, inner, halves=halves, attention=config.attention))
                channels = inner
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Identity()  # where the last map can be seen
        self.folded = False
        self.self_attention = SelfAttention(channels, config.heads) if config.attention == "self" else None
        # SGD moves the query in proportion to its gradient: with a scale of 1 all weight soon falls on one region
        self.pool = Pool(channels, config.pooling, scale=channels**-0.25)
        self.dropout = Dropout(config.dropout)
        self.head = nn.Linear(channels, len(spec.classes))
        if config.recompute:
            for module in self.blocks.modules():
                if isinstance(module, nn.BatchNorm2d):  # sees each batch twice, and moves half as far each time
                    module.momentum = 1 - (1 - (module.momentum or 0.0)) ** 0.5
        # Convolutions on CPU and on tensor cores are about twice as fast in this layout
        self.to(memory_format=torch.channels_last)

    def entrance(self) -> nn.Module:
        return self.normalise

    def last_map(self) -> nn.Module:
        return self.last

    def levels(self) -> list[list[nn.Module]]:
        last = [self.pool, self.head] if self.self_attention is None else [self.self_attention, self.pool, self.head]
        return [[self.stem], *([block] for block in self.blocks), last]

    def for_inference(self) -> Self:
        self.eval()
        self.stem = nn.Sequential(_folded(self.stem[0], self.stem[1]))
        self.folded = True
        for block in self.blocks:
            assert isinstance(block, Block)
            block.fold()
        return self

    def forward(self, batch: Batch, *, need_attention: bool = False, need_layers: bool = True) -> ModelOutput:
        assert isinstance(batch, ImageBatch)
        x = self.normalise(batch.pixels.contiguous(memory_format=torch.channels_last))
        stem = self.stem[0]
        x = conv_relu(stem, x) if self.folded and isinstance(stem, nn.Conv2d) else F.relu(self.stem(x))
        gate = None
        for block in self.blocks:
            x, gate = self.run(block, x)  # (batch, channels, rows, columns); (batch, 1, rows, columns)
        x = self.last(x)
        grid = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)  # (batch, parts, channels)
        mixing = None
        if self.self_attention is not None:
            x, mixing = self.self_attention(x, need_weights=need_attention)
        pooled, share = self.pool(x, None, need_weights=need_attention)
        logits = self.head(self.dropout(pooled))
        if share is None:
            return ModelOutput(logits)
        layers: tuple[Tensor, ...] = ()
        flowed = share
        if mixing is not None:
            flowed, layers = 0.5 * (share + pass_through(share, mixing)), (mixing,)
        elif gate is not None:
            spatial = gate.float().flatten(1)  # (batch, parts)
            flowed, layers = share * spatial, (spatial[:, None, None, :],)
        return ModelOutput(logits, Attention(normalise(flowed, None), layers if need_layers else (), grid, share))


class Block(nn.Module):
    """Two 3x3 convolutions, the attention's gates, and the path around them."""

    def __init__(self, channels: int, inner: int, *, halves: bool, attention: str) -> None:
        super().__init__()
        self.first = _conv(channels, inner, stride=2 if halves else 1)
        self.first_norm: nn.Module = nn.BatchNorm2d(inner)
        self.second = _conv(inner, inner)
        last_norm = nn.BatchNorm2d(inner)
        # Every block starts as the identity, which lets deep stacks train from the first step
        nn.init.zeros_(last_norm.weight)
        self.second_norm: nn.Module = last_norm
        self.channel_gate = (
            ChannelGate(inner, with_maximum=attention == "cbam") if attention in ("se", "cbam") else None
        )
        self.spatial_gate = SpatialGate() if attention == "cbam" else None
        around: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)] if halves else []
        if channels != inner:
            around += [nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)]
        self.around = nn.Sequential(*around)
        self.folded = False

    def fold(self) -> None:
        """Makes the norms, which in evaluation only scale and shift, part of the convolutions before them."""
        self.first, self.first_norm = _folded(self.first, self.first_norm), nn.Identity()
        self.second, self.second_norm = _folded(self.second, self.second_norm), nn.Identity()
        *before, last = self.around or [nn.Identity()]
        if isinstance(last, nn.BatchNorm2d):
            self.around = nn.Sequential(*before[:-1], _folded(before[-1], last))
        self.folded = True

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(batch, channels, rows, columns) -> the block's map, and its spatial gate (batch, 1, rows, columns) if any"""
        if self.folded:
            branch = conv_relu(self.first, x)
            if self.channel_gate is None:
                return conv_relu(self.second, branch, self.around(x)), None
        else:
            branch = F.relu(self.first_norm(self.first(x)))
        branch = self.second_norm(self.second(branch))
        if self.channel_gate is not None:
            branch = branch * self.channel_gate(branch)
        gate = None
        if self.spatial_gate is not None:
            gate = self.spatial_gate(branch)
            branch = branch * gate
        return F.relu(branch + self.around(x)), gate


class ChannelGate(nn.Module):
    """Squeeze-and-excitation; with the maximum beside the mean it is CBAM's channel attention."""

    def __init__(self, channels: int, *, with_maximum: bool) -> None:
        super().__init__()
        self.with_maximum = with_maximum
        hidden = max(channels // 8, 4)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, channels, 1, 1)"""
        score = self.excite(F.relu(self.squeeze(x.mean((2, 3)))))
        if self.with_maximum:
            score = score + self.excite(F.relu(self.squeeze(x.amax((2, 3)))))
        return score.sigmoid()[:, :, None, None]


class SpatialGate(nn.Module):
    """CBAM's spatial attention: where, from the mean and the maximum over channels around each place."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, rows, columns) -> (batch, 1, rows, columns)"""
        return self.look(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)).sigmoid()


class SelfAttention(nn.Module):
    """A residual block of self-attention between all places of the map; starts as the identity."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = MultiHeadAttention(channels, heads)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.attention.out.bias)

    def forward(self, x: Tensor, *, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        """x (batch, parts, channels) -> the same shape, and (batch, heads, parts, parts) where asked"""
        branch, weights = self.attention(self.norm(x), need_weights=need_weights)
        return x + branch, weights


def _folded(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(conv, norm)


def _conv(channels: int, inner: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels, inner, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
