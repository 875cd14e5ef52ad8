"""A temporal convolutional network (Bai et al. 2018): dilated causal convolutions, with attention pooling."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_LAYERS, Modality, ModelConfig
from attnpred.config.schema import option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.modalities.series.batch import SeriesSpec
from attnpred.models.attention import Pool, normalise, of_chosen
from attnpred.models.base import Model
from attnpred.models.dropout import ExampleDropout
from attnpred.models.moments import MomentEntrance, MomentHead
from attnpred.models.predicted import PredictedAttention
from attnpred.models.series import NormKind


@dataclass(kw_only=True)
class TcnConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("series",)

    width: int = option("Features of a moment.", ge=4, le=MOST_FEATURES)
    depth: int = option("Blocks of two convolutions; each sees twice as far as the one before.", ge=1, le=30)
    kernel: int = option("Moments that a convolution reads.", ge=2, le=MOST_LAYERS)
    separable: bool = option("Whether a convolution goes over each feature by itself, before these are mixed.")
    dropout: float = option("Share of features dropped in training, for a whole example at a time.", ge=0, lt=1)
    pooling: Literal["attention", "mean"] = option("How the moments become one vector.")
    norm: NormKind = option(
        "What is taken from each window of a series before, and given back to a forecast. It is its mean and "
        "deviation (standard), its last value (last), or nothing (none).",
        default="standard",
    )


class Tcn(Model):
    """Importance: the pooling's weights on the moments, each of all variables."""

    def __init__(self, config: TcnConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        read: SeriesSpec = spec.input
        self.embed = MomentEntrance(config.norm, spec.answer)
        self.stem = nn.Linear(len(read.names), config.width)
        self.layers = nn.ModuleList(Block(config, 2**i) for i in range(config.depth))
        self.pool = Pool(config.width, config.pooling, answers=len(spec.answer.answers))
        self.head = MomentHead(config.width, spec)
        widths = (len(read.names), config.width)
        self.predicted = PredictedAttention.where_asked(config, widths, config.width, spec.answer)

    def entrance(self) -> nn.Module:
        return self.embed.enter

    def levels(self) -> list[list[nn.Module]]:
        blocks = ([block] for block in self.layers)
        return [[self.embed, self.stem], *blocks, [self.pool, self.head, *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        entered, level = self.embed(batch.input)  # (batch, moments, variables)
        x = self.stem(entered)
        for block in self.layers:
            x = self.run(block, x)
        pooled, share = self.pool(x, None, need_weights=need_attention)
        answer = self.head(pooled, batch.input, level)
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        if self.predicted is not None:
            importance = self.predicted((entered, x), pooled, answer, None, choice=choice)
        else:
            importance = normalise(share, None)
        return ModelOutput(answer, Attention(importance, (), (None,), share))


class Block(nn.Module):
    """Two causal convolutions on a normalised copy of what comes, added to it."""

    def __init__(self, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.convolutions = nn.ModuleList(_causal(config, dilation) for _ in range(2))
        self.reach = (config.kernel - 1) * dilation
        self.dropout = ExampleDropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, moments, width) -> the same shape; each moment hears of those before it alone"""
        found = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            before = F.pad(norm(found).transpose(1, 2), (self.reach, 0))  # (batch, width, moments and those before)
            found = self.dropout(F.gelu(convolution(before).transpose(1, 2)))
        return x + found


def _causal(config: TcnConfig, dilation: int) -> nn.Module:
    width, kernel = config.width, config.kernel
    if not config.separable:
        return nn.Conv1d(width, width, kernel, dilation=dilation)
    return nn.Sequential(nn.Conv1d(width, width, kernel, dilation=dilation, groups=width), nn.Conv1d(width, width, 1))
