"""A pretrained image backbone, fine-tuned: one of timm, torchvision or transformers that ends in a map or patches."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.adapter_options import AdaptedConfig
from attnpred.config.options import Modality
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.files import write_json
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.models import adapters, backbones
from attnpred.models.attention import Head, Pool, normalise, of_chosen, pass_through
from attnpred.models.backbone import Asked, Backbone, recompute
from attnpred.models.base import Model, PixelNorm
from attnpred.models.dropout import Dropout
from attnpred.models.predicted import PredictedAttention

BACKBONE_FILE = "backbone.json"  # in the run directory: the backbone's architecture


@dataclass(kw_only=True)
class VisionConfig(AdaptedConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("image",)

    source: str = option(
        "Backbone: timm/NAME or torchvision/NAME, the hub id of one of timm or transformers, or a directory of one."
    )
    pretrained: bool = option("Load the source's weights; false takes its architecture alone, with random ones.")
    resize: int | None = option(
        "Pixels to which the images' smaller side is brought before the backbone; null leaves them.",
        ge=8,
        le=4_096,
    )
    pooling: Literal["attention", "cls", "mean"] = option(
        "How the last map or layer becomes one vector; cls needs a class token."
    )
    dropout: float = option("Share of the pooled features dropped in training.", ge=0, lt=1)

    def check(self) -> None:
        super().check()
        if self.adapter in ("bottleneck", "prompt"):
            raise Invalid("adapter", "is for encoders of texts; take ia3 or adalora, or lora_rank")


class Vision(Model):
    """Importance lies on the last map's grid, or on that of a transformer's patches.

    By pooling: `attention`, the pooling's own weights; `cls`, the class token's row of the last layer, averaged over
    heads; `mean`, equal shares of the patches, pushed through the last layer where that attends to all of them. Layers
    that attend within windows, or on other maps, are left out of `Attention.layers`.
    """

    def __init__(
        self, config: VisionConfig, spec: ModelSpec, *, description: backbones.Description | None = None
    ) -> None:
        """With `description` the backbone is made from it and nothing is loaded."""
        super().__init__(config, spec)
        self.resize = config.resize
        images = spec.input
        assert isinstance(images, ImageSpec)
        size = self._resized(images.height, images.width)
        if description is None:
            network, description = backbones.load(config.source, size, pretrained=config.pretrained)
        else:
            network = backbones.make(description, size)
        self.description = description
        scaled = [tuple(255 * one for one in values) for values in (description.mean, description.std)]
        self.normalise = PixelNorm(replace(images, channels=3, mean=scaled[0], std=scaled[1]))
        self.backbone = Backbone(network, description, size, config.source)
        if config.pooling == "cls" and not (self.backbone.prefix and self.backbone.attends):
            raise UserError(
                f"model.pooling=cls: {config.source} tells of no class token's attention; take attention or mean"
            )
        self.budget = adapters.add(network, config)
        if config.adapts() is not None:
            # statistics belong to the weights, which stay
            self._frozen += [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        if config.recompute:
            recompute(self.backbone)
        width = self.backbone.width
        self.pool = Pool(width, config.pooling, scale=width**-0.25, answers=len(spec.answer.answers))
        self.dropout = Dropout(config.dropout)
        self.head = Head(width, spec.answer)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.predicted = PredictedAttention.where_asked(config, (3, width), width, spec.answer)

    def entrance(self) -> nn.Module:
        return self.normalise

    def last_map(self) -> nn.Module | None:
        return self.backbone.last if self.backbone.mapped else None

    def levels(self) -> list[list[nn.Module]]:
        return [*self.backbone.levels(), [self.pool, self.head, *self.beside()]]

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
        pixels = self.normalise(images.pixels.expand(-1, 3, -1, -1))  # grey becomes three alike
        flows = need_attention and self.pool.kind != "attention" and self.predicted is None
        asked: Asked = "all" if need_attention and need_layers else "last" if flows else "none"
        seen = self.backbone(self._fitted(pixels), asked)
        own = seen.features[:, seen.prefix :]  # (batch, parts, width)
        first = self.pool.kind == "cls"
        pooled, share = self.pool(seen.features if first else own, None, need_weights=need_attention)
        answer = self.head(self.dropout(pooled))
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        read = share if first else F.pad(share, (seen.prefix, 0))  # (batch, prefix + parts)
        if self.predicted is not None:
            colours = F.adaptive_avg_pool2d(pixels, seen.grid).flatten(2).transpose(1, 2)  # (batch, parts, 3)
            importance = self.predicted((colours, own), pooled, answer, None, choice=choice)
        else:
            flowed = pass_through(read, seen.layers[-1].float()) if flows and seen.layers else read
            importance = normalise(flowed[:, seen.prefix :], None)
        layers = seen.layers if need_layers else ()
        return ModelOutput(answer, Attention(importance, layers, (seen.grid,), read))

    def _fitted(self, pixels: Tensor) -> Tensor:
        """(batch, 3, height, width), of the size that the backbone is given"""
        size = self._resized(pixels.shape[2], pixels.shape[3])
        if size == tuple(pixels.shape[2:]):
            return pixels
        return F.interpolate(pixels, size, mode="bilinear", antialias=True)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        side = self.resize or min(height, width)
        return round(height * side / min(height, width)), round(width * side / min(height, width))

    def save_assets(self, directory: Path) -> None:
        write_json(directory / BACKBONE_FILE, self.description.as_dict())

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Self:
        return cls(config, spec, description=backbones.Description.read(directory / BACKBONE_FILE))
