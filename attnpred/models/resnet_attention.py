"""A convolutional network for images, with a choice of attention inside it and a pooling that says where it looked."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_HEADS, MOST_LAYERS, Modality, ModelConfig
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.models.attention import Head, MultiHeadAttention, Pool, normalise, of_chosen, pass_through
from attnpred.models.base import Model, PixelNorm
from attnpred.models.dropout import Dropout
from attnpred.models.predicted import PredictedAttention
from attnpred.models.resnet_blocks import SMALLEST_MAP, Block, ConvStem, PlainStage, WaveStem, drops_last


@dataclass(kw_only=True)
class ResnetAttentionConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("image",)
    any_size: ClassVar[bool] = True

    width: int = option("Channels of the first stage.", ge=8, le=MOST_FEATURES)
    later_width: int | None = option(
        "Channels of every later stage; null doubles them from stage to stage.", ge=8, le=MOST_FEATURES, default=None
    )
    depth: int = option("Residual blocks a stage; convolutions behind the first of a plain one.", ge=1, le=MOST_LAYERS)
    stages: int = option(
        "Stages; each after the first, or each that is plain, halves the map, while it stays at least 4x4.", ge=1, le=5
    )
    block: Literal["strided", "plain"] = option(
        "Residual blocks of two convolutions, the first of each further stage with strides (strided). Or stages "
        "of a convolution, a maximum of 2 by 2 and further convolutions, behind a fixed stem (plain). The latter "
        "is better and faster for small images."
    )
    around: bool = option(
        "A path around a plain stage's convolutions behind the first; residual blocks always have one.", default=False
    )
    faint: float = option(
        "Variance of normalised pixels' differences. A plain stem holds what is below it to be noise, and does "
        "not make it as strong as the rest. Fine colours in JPEGs have 0.01 or less.",
        gt=0,
        default=5e-4,
    )
    attention: Literal["none", "se", "cbam", "self"] = option(
        "Channel gates in every block (se), channel and spatial gates (cbam), or self-attention after the last stage."
    )
    heads: int = option("Heads of the self-attention.", ge=1, le=MOST_HEADS)
    pooling: Literal["attention", "mean"] = option("How the last map becomes one vector: learned weights, or the mean.")
    dropout: float = option("Share of the pooled features dropped in training.", ge=0, lt=1)

    def widths(self) -> list[int]:
        """Channels of each stage."""
        if self.later_width is not None:
            return [self.width, *[self.later_width] * (self.stages - 1)]
        return [self.width * 2**stage for stage in range(self.stages)]

    def check(self) -> None:
        last = self.widths()[-1]
        if self.attention == "self" and last % self.heads:
            raise Invalid("heads", f"must divide the last stage's {last} channels (widths {self.widths()})")


class ResnetAttention(Model):
    """Importance lies on the last map's grid and comes from whatever spatial attention there is.

    `none` and `se`: the pooling's weights. `cbam`: those times the last block's spatial gate, brought back to sum 1.
    `self`: those pushed through 0.5 (I + A), A being the self-attention averaged over heads and I the residual path
    around it. With `pooling=mean` the pooling's weights are uniform. `layers` holds the self-attention as (batch,
    heads, parts, parts), or the last spatial gate, between 0 and 1, as (batch, 1, 1, parts).
    """

    def __init__(self, config: ResnetAttentionConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        images = spec.input
        assert isinstance(images, ImageSpec)
        self.normalise = PixelNorm(images)
        plain = config.block == "plain"
        self.stem = WaveStem(images.channels, config.faint) if plain else ConvStem(images.channels, config.width)
        channels = self.stem.channels
        blocks: list[Block | PlainStage] = []
        smallest = min(images.height, images.width) - self.stem.shrinks
        for stage, inner in enumerate(config.widths()):
            half = smallest // 2 if plain and drops_last(smallest) else -(-smallest // 2)
            halves = (stage > 0 or plain) and half >= SMALLEST_MAP
            smallest = half if halves else smallest
            if plain:
                blocks.append(
                    PlainStage(
                        channels, inner, config.depth, halves=halves, around=config.around, attention=config.attention
                    )
                )
            else:
                blocks.append(Block(channels, inner, halves=halves, attention=config.attention))
                blocks += [
                    Block(inner, inner, halves=False, attention=config.attention) for _ in range(1, config.depth)
                ]
            channels = inner
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Identity()  # where the last map can be seen
        self.self_attention = SelfAttention(channels, config.heads) if config.attention == "self" else None
        # SGD moves the query in proportion to its gradient: with a scale of 1 all weight soon falls on one region
        self.pool = Pool(channels, config.pooling, scale=channels**-0.25, answers=len(spec.answer.answers))
        self.dropout = Dropout(config.dropout)
        self.head = Head(channels, spec.answer)
        widths = (self.stem.channels, channels)
        self.predicted = PredictedAttention.where_asked(config, widths, channels, spec.answer)
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
        mixing: list[list[nn.Module]] = [] if self.self_attention is None else [[self.self_attention]]
        return [[self.stem], *([block] for block in self.blocks), *mixing, [self.pool, self.head, *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        images = batch.input
        assert isinstance(images, ImageInput)
        x = self.normalise(images.pixels.contiguous(memory_format=torch.channels_last))
        x = entered = self.stem(x)
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
        answer = self.head(self.dropout(pooled))
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        layers: tuple[Tensor, ...] = ()
        flowed = share
        if mixing is not None:
            flowed, layers = 0.5 * (share + pass_through(share, mixing)), (mixing,)
        elif gate is not None:
            spatial = gate.float().flatten(1)  # (batch, parts)
            flowed, layers = share * spatial, (spatial[:, None, None, :],)
        if self.predicted is not None:
            entered = F.adaptive_avg_pool2d(entered, grid).flatten(2).transpose(1, 2)  # (batch, parts, channels)
            importance = self.predicted((entered, x), pooled, answer, None, choice=choice)
        else:
            importance = normalise(flowed, None)
        return ModelOutput(answer, Attention(importance, layers if need_layers else (), (grid,), share))


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
