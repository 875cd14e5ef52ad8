"""A pre-norm transformer encoder, from scratch, for texts and for images cut into patches."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.adapter_options import AdaptedConfig
from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_HEADS, MOST_LAYERS, Modality, Shape
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.series.batch import SeriesSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models import adapters
from attnpred.models.attention import Head, Pool, normalise, of_chosen, pass_through
from attnpred.models.base import Model, PixelNorm
from attnpred.models.dropout import ExampleDropout
from attnpred.models.hidden import Hidden, patch_of, refuse_beside_hidden
from attnpred.models.layer import Layer, initialise
from attnpred.models.ngrams import evened, joined
from attnpred.models.parts import Parts
from attnpred.models.positions import EMBEDDING_DEVIATION, Positions
from attnpred.models.predicted import PredictedAttention
from attnpred.models.series import NormKind
from attnpred.models.series_transformer import SeriesTransformer
from attnpred.models.token_embedding import TokenEmbedding

PATCHES_A_SIDE = 8  # at least, where the patch size is left to the model
SMALLEST_PATCH = 2  # but then never single pixels: four times the parts, and sixteen times the attention, for little


@dataclass(kw_only=True)
class TransformerConfig(AdaptedConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("text", "words", "image", "series")
    answers: ClassVar[tuple[Shape, ...]] = ("whole", "parts", "hidden")

    width: int = option("Features of a token.", ge=4, le=MOST_FEATURES)
    depth: int = option("Layers.", ge=1, le=MOST_LAYERS)
    heads: int = option("Attention heads a layer.", ge=1, le=MOST_HEADS)
    mlp_ratio: float = option("Hidden features of a layer's MLP, in widths.", gt=0, le=1_000)
    dropout: float = option("Share of features dropped in training, for a whole example at a time.", ge=0, lt=1)
    attention_dropout: float = option("Share of attention weights dropped in training.", ge=0, lt=1)
    positions: Literal["learned", "sinusoidal", "rotary"] = option(
        "How places are told; in rows and columns for images."
    )
    pooling: Literal["attention", "cls", "mean"] = option("How the last layer becomes one vector.")
    patch: int | None = option(
        "Side of an image patch in pixels; null makes 8 by 8 patches or more, of 2 pixels or more. Of a series the "
        "moments of a patch; null takes twice the stride.",
        ge=1,
        le=MOST_FEATURES,
    )
    ngrams: int | None = option(
        "Tokens of the longest run that has scores of its own for the answer; null for no such scores. They are "
        "added to what the layers find.",
        ge=1,
        le=100,
        default=None,
    )
    letters: int | None = option(
        "Letters of the longest groups that tokens share by their spelling; null for none. Each group has a "
        "vector, and with ngrams scores. These are added to those of the tokens that hold it.",
        ge=3,
        le=100,
        default=None,
    )

    attention_start: Literal["even", "uneven"] = option(
        "How a layer's attention begins: nearly the same for all parts (even), or with queries and keys that differ at "
        "once (uneven). What hangs on the places of parts alone is learned much sooner from the latter.",
        default="even",
    )
    stride: int | None = option(
        "Of a series the moments between the beginnings of two patches; null takes as few as leave 64 patches at most.",
        ge=1,
        le=MOST_FEATURES,
        default=None,
    )
    mixing: bool = option(
        "Whether a series' patch holds all variables; else each variable goes through the layers by itself.",
        default=False,
    )
    norm: NormKind = option(
        "What is taken from each window of a series before, and given back to a forecast. It is its mean and "
        "deviation (standard), its last value (last), or nothing (none).",
        default="standard",
    )
    shortcut: bool = option(
        "Whether a linear map of the window is added to what the layers forecast of a series.", default=False
    )

    def check(self) -> None:
        super().check()
        if self.adapter == "prompt":
            raise Invalid("adapter", "is for pretrained encoders; take bottleneck, ia3 or adalora, or lora_rank")
        if self.adapts() is not None and self.init_from is None:
            at_fault = "adapter" if self.lora_rank is None else "lora_rank"
            raise Invalid(at_fault, "adapts weights that have learned before; name their run by model.init_from")
        if self.width % self.heads:
            raise Invalid("heads", f"must divide width={self.width}")
        head_dim = self.width // self.heads
        if self.positions == "rotary" and head_dim % 4:
            raise Invalid(
                "heads", f"rotary positions need width={self.width} / heads, {head_dim}, to be a multiple of 4"
            )
        if self.positions == "sinusoidal" and self.width % 4:
            raise Invalid("width", "sinusoidal positions need a multiple of 4")


class Transformer(Model):
    """Importance by pooling: `attention`, the pooling's own weights; `cls`, the cls token's row of the last layer,
    averaged over heads; `mean`, equal shares of the own parts pushed through the last layer, averaged over heads. The
    latter two are restricted to the own parts and brought back to sum 1.

    With `cls`, `layers` counts the learned cls token as the first query and the first key; it is no part of the input.

    Where each part has an answer nothing is pooled, and no cls token is there: see `Parts`.

    With `ngrams` these are shares in what the layers say, beside which each part's scores count, both by how far they
    move the answer.

    Of a series it is a `SeriesTransformer`.
    """

    def __new__(cls, *given: Any) -> Any:
        series = len(given) == 2 and isinstance(given[1].input, SeriesSpec)
        return SeriesTransformer(*given) if series else super().__new__(cls)

    def __init__(self, config: TransformerConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        refuse_beside_hidden(config, spec)
        self.embed: TokenEmbedding | PatchEmbedding
        given_input, width = spec.input, spec.answer.width
        if isinstance(given_input, ImageSpec):
            for name in ("ngrams", "letters"):
                if (given := getattr(config, name)) is not None:
                    raise UserError(f"model.{name}={given}: images have no tokens; take null, or a text")
            self.embed = PatchEmbedding(given_input, config.width, patch_of(config.patch, spec.answer))
            length, grid = math.prod(self.embed.grid), self.embed.grid
        else:
            assert isinstance(given_input, TextSpec)
            self.embed = TokenEmbedding(given_input, width, config.width, ngrams=config.ngrams, letters=config.letters)
            length, grid = given_input.max_length, None
        self.grid = grid
        self.parted = None if config.ngrams is None else (config.width, width)
        head_dim = config.width // config.heads
        self.positions = Positions(config.positions, width=config.width, head_dim=head_dim, length=length, grid=grid)
        whole = spec.answer.shape == "whole"
        self.cls = nn.Parameter(torch.zeros(config.width)) if config.pooling == "cls" and whole else None
        self.dropout = ExampleDropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.pool = self._ending(config, spec)
        # hidden parts are compared with the tokens' own vectors
        self.head = nn.Identity() if isinstance(self.pool, Hidden) else Head(config.width, spec.answer)
        self._initialise()
        self.budget = adapters.add(self.layers, config, self.layers)
        if config.adapts() is not None:
            learned = self.embed.table if isinstance(self.embed, TokenEmbedding) else self.embed
            for module in (learned, self.positions):
                module.requires_grad_(False)
        widths = (config.width, config.width)
        self.predicted = PredictedAttention.where_asked(
            config, widths, config.width, spec.answer, knows=self.parted is not None
        )

    def _ending(self, config: TransformerConfig, spec: ModelSpec) -> Pool | Parts | Hidden:
        """What makes the answer of the last layer's features."""
        if spec.answer.shape == "whole":
            return Pool(config.width, config.pooling, answers=len(spec.answer.answers))
        if spec.answer.shape == "parts":
            return Parts(config.width, spec.answer)
        if isinstance(self.embed, TokenEmbedding):
            self.embed.table.shared = True
        table_width = config.width if isinstance(self.embed, TokenEmbedding) else None
        return Hidden(config.width, spec.answer, table_width=table_width)

    def _initialise(self) -> None:
        initialise(self, len(self.layers))
        config: Any = self.config
        if config.attention_start == "uneven":
            layer: Any
            for layer in self.layers:  # products of queries and keys deviate by about 1 then, not by a twentieth
                nn.init.trunc_normal_(layer.attention.qkv.weight, std=config.width**-0.5)
        if isinstance(self.embed, PatchEmbedding):
            nn.init.trunc_normal_(
                self.embed.project.weight, std=EMBEDDING_DEVIATION * self.embed.project.in_features**-0.5
            )
        if self.cls is not None:
            nn.init.trunc_normal_(self.cls, std=EMBEDDING_DEVIATION)

    def entrance(self) -> nn.Module:
        return self.embed.normalise if isinstance(self.embed, PatchEmbedding) else self.embed

    def levels(self) -> list[list[nn.Module]]:
        layers = ([layer] for layer in self.layers)
        return [[self.embed, self.positions], *layers, [self.pool, self.head, *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        read = batch.input
        valid, own = (read.valid(), read.own()) if isinstance(read, TextInput) else (None, None)
        x = self.embed(read)  # (batch, parts, width), or as many more as the answer has numbers
        scores = None
        if self.parted is not None:
            x, scores = x.split(self.parted, dim=-1)
            scores = scores if isinstance(self.pool, Parts) else evened(scores, valid)  # (batch, parts, numbers)
        x = entered = self.positions(x)  # (batch, parts, width)
        before = 0 if self.cls is None else 1
        rotation = self.positions.rotation(x.shape[1], x.device, before=before)
        if self.cls is not None:
            x = torch.cat((self.cls.to(x.dtype).expand(x.shape[0], 1, -1), x), dim=1)
            valid = None if valid is None else F.pad(valid, (1, 0), value=True)
        x = self.dropout(x)
        weights: list[Tensor] = []
        flows = self.predicted is None and self.pool.kind != "attention"
        for layer in self.layers:
            # only the importance by `cls` and `mean`, and that of a part, is made of the last layer's weights
            needed = need_layers or (layer is self.layers[-1] and flows)
            x, attended = self.run(layer, x, keep=valid, rotation=rotation, need_weights=need_attention and needed)
            if attended is not None:
                weights.append(attended)
        layers = tuple(weights) if need_layers else ()
        if isinstance(self.pool, Hidden):
            output = self.pool(x, batch, self.embed.table.weight if isinstance(self.embed, TokenEmbedding) else None)
            if not need_attention:
                return output
            importance, share = self.pool.importance(output, choice, own, lambda read: pass_through(read, weights[-1]))
            return replace(output, attention=Attention(importance, layers, (self.grid,), share))
        if isinstance(self.pool, Parts):
            said = self.head(self.pool.norm(x))
            output = self.pool.output(said if scores is None else said + scores, read, own)
            if not need_attention:
                return output
            importance, share = self.pool.importance(
                output,
                choice,
                own,
                weights=weights[-1] if flows else None,
                predicted=self.predicted,
                features=(entered, x),
                said=said,
                scores=scores,
            )
            return replace(output, attention=Attention(importance, layers, (self.grid,), share))
        pooled, share = self.pool(x, own, need_weights=need_attention)
        said = self.head(pooled)
        answer = said if scores is None else said + scores.sum(1)
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        if self.predicted is not None:
            importance = self.predicted((entered, x[:, before:]), pooled, answer, own, known=scores, choice=choice)
        else:
            flowed = share if self.pool.kind == "attention" else pass_through(share, weights[-1])
            importance = normalise(flowed[:, before:], own)
            if scores is not None:
                importance = joined(importance, said, scores, own, exclusive=self.spec.answer.exclusive)
        return ModelOutput(answer, Attention(importance, layers, (self.grid,), share))


class PatchEmbedding(nn.Module):
    """Cuts an image into square patches, in reading order, and projects each."""

    def __init__(self, spec: ImageSpec, width: int, patch: int | None) -> None:
        super().__init__()
        self.patch = patch or _fitting_patch(spec)
        if spec.height % self.patch or spec.width % self.patch:
            raise UserError(
                f"model.patch={self.patch}: does not divide the images' {spec.height}x{spec.width} pixels; "
                f"take a divisor of {math.gcd(spec.height, spec.width)}, or null"
            )
        self.grid = (spec.height // self.patch, spec.width // self.patch)
        self.normalise = PixelNorm(spec)
        self.project = nn.Linear(spec.channels * self.patch**2, width)

    def forward(self, images: ImageInput) -> Tensor:
        """-> (batch, rows x columns, width)"""
        patches = F.pixel_unshuffle(
            self.normalise(images.pixels), self.patch
        )  # (batch, channels x patch², rows, columns)
        return self.project(patches.flatten(2).transpose(1, 2))


def _fitting_patch(spec: ImageSpec) -> int:
    common = math.gcd(spec.height, spec.width)
    largest = max(min(spec.height, spec.width) // PATCHES_A_SIDE, SMALLEST_PATCH)
    return max(size for size in range(1, largest + 1) if common % size == 0)
