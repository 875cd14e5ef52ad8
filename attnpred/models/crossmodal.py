"""Several inputs of different kinds, each read by a model of its own, that look at one another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from attnpred.config import schema
from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_HEADS, MOST_LAYERS, Modality, ModelConfig
from attnpred.config.schema import Invalid, option
from attnpred.contracts import AnswerSpec, Attention, Batch, Grid, Input, InputSpec, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.models.attention import Head, Pool, normalise, of_chosen
from attnpred.models.base import Model
from attnpred.models.dropout import ExampleDropout
from attnpred.models.layer import Layer, initialise
from attnpred.models.positions import EMBEDDING_DEVIATION
from attnpred.models.predicted import PredictedAttention


@dataclass(kw_only=True)
class CrossmodalConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("several",)

    encoders: dict[str, ModelConfig] = option(
        "The model that reads each kind of input, by the kind: text, image or series. Others than the data hold are "
        "not made."
    )
    fusion: Literal["cross", "concat", "late"] = option(
        "How the inputs meet. With cross the parts of each attend to the others', with concat all parts attend to "
        "all. With late each input's vector is joined at the end."
    )
    width: int = option("Features of a part where the inputs meet.", ge=4, le=MOST_FEATURES)
    depth: int = option("Layers in which they attend; late has none.", ge=1, le=MOST_LAYERS)
    heads: int = option("Attention heads of such a layer.", ge=1, le=MOST_HEADS)
    mlp_ratio: float = option("Hidden features of a layer's MLP for each feature.", gt=0, le=64)
    dropout: float = option("Share of what such a layer adds that is dropped in training.", ge=0, lt=1)
    attention_dropout: float = option("Share of attention weights dropped in training.", ge=0, lt=1)
    pooling: Literal["attention", "mean"] = option("How all parts become one vector.")
    missing: float = option(
        "Share of the training examples of which one input, drawn at random, is left out; so one may be missing later.",
        ge=0,
        lt=1,
    )

    def check(self) -> None:
        if self.width % self.heads:
            raise Invalid("heads", f"must divide width={self.width}")
        for kind, one in self.encoders.items():
            if kind not in one.accepts or one.attention_loss is not None or getattr(one, "pooling", "") == "cls":
                raise Invalid("encoders", f"the one for {kind} does not read it, or has a cls token or attention_loss")

    def tokenizer_source(self) -> str | None:
        text = self.encoders.get("text")
        return None if text is None else text.tokenizer_source()


class Crossmodal(Model):
    """Parts are those of all inputs, one input's after the other's. Importance: what the pooling takes of each.

    `layers` holds the attention where the inputs meet; before the parts stands a learned token of each input, to which
    those attend that find nothing in it. Late fusion has no such layers; there each input's pooling counts alike.
    """

    def __init__(self, config: CrossmodalConfig, spec: ModelSpec, *, directory: Path | None = None) -> None:
        """With `directory`, a run's, the encoders are made from what it keeps, and nothing is loaded."""
        super().__init__(config, spec)
        self.config: CrossmodalConfig = config
        self.late = config.fusion == "late"
        self.encoders = nn.ModuleDict(
            {name: Encoder(config, name, one, directory) for name, one in spec.inputs.items()}
        )
        count, answers = len(spec.inputs), len(spec.answer.answers)
        self.tokens = nn.Parameter(torch.empty(count, config.width))  # of each input, for what finds nothing in it
        nn.init.trunc_normal_(self.tokens, std=EMBEDDING_DEVIATION)
        self.dropout = ExampleDropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(0 if self.late else config.depth))
        pools = count if self.late else 1
        self.pools = nn.ModuleList(Pool(config.width, config.pooling, answers=answers) for _ in range(pools))
        self.join = nn.Linear((count + 1) * config.width, config.width) if self.late else None
        self.head = Head(config.width, spec.answer)
        for module in (self.layers, self.head, self.join):
            if module is not None:
                initialise(module, max(len(self.layers), 1))
        widths = (config.width, config.width)
        self.predicted = PredictedAttention.where_asked(config, widths, config.width, spec.answer)

    def _each(self) -> Mapping[str, "Encoder"]:
        return dict(self.encoders.items())  # type: ignore[arg-type]

    def entrance(self) -> nn.Module:
        return self.entrances()[0]

    def entrances(self) -> list[nn.Module]:
        return [one.network.entrance() for one in self._each().values()]

    def last_map(self) -> nn.Module | None:
        """The image's, where there is one."""
        found = (one.network.last_map() for one in self._each().values())
        return next((module for module in found if module is not None), None)

    def levels(self) -> list[list[nn.Module]]:
        ends = [self.pools, self.head, *([] if self.join is None else [self.join]), *self.beside()]
        return [[self.encoders], *([layer] for layer in self.layers), ends]

    def for_inference(self) -> Self:
        self.eval()
        for one in self._each().values():
            one.network.for_inference()
        return self

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        given = self._given(batch)  # (batch, inputs)
        encoders = self._each()
        each = [encoders[name](one, batch.ids) for name, one in batch.inputs.items()]  # (batch, parts, width)
        own = [_own(one, x, given[:, i]) for i, (one, x) in enumerate(zip(batch.inputs.values(), each, strict=True))]
        entered = torch.cat(each, dim=1)
        x = entered
        weights: list[Any] = []
        if not self.late:
            x, weights = self._met(each, own, need_weights=need_attention and need_layers)
        pooled, share = self._pooled(x, own, given, need_weights=need_attention)
        answer = self.head(pooled)
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        kept = torch.cat(own, dim=1)
        before = share.shape[1] - kept.shape[1]  # learned tokens
        if self.predicted is not None:
            importance = self.predicted((entered, x[:, before:]), pooled, answer, kept, choice=choice)
        else:
            importance = normalise(share[:, before:], kept)
        grids = tuple(one.grid for one in encoders.values())
        return ModelOutput(answer, Attention(importance, tuple(weights), grids, share))

    def _given(self, batch: Batch) -> Tensor:
        """Which inputs each example has, (batch, inputs) bool; in training some are left out."""
        device, count = batch.ids.device, len(batch.inputs)
        given = torch.ones(batch.ids.shape[0], count, dtype=torch.bool, device=device)
        for i, one in enumerate(batch.inputs.values()):
            if one.given is not None:
                given[:, i] = one.given
        if not self.training or not self.config.missing:
            return given
        gone = torch.rand(len(batch), device=device) < self.config.missing
        which = torch.randint(count, (len(batch), 1), device=device) == torch.arange(count, device=device)
        left = given & ~(gone[:, None] & which)
        return torch.where(left.any(1, keepdim=True), left, given)

    def _met(self, each: list[Tensor], own: list[Tensor], *, need_weights: bool) -> tuple[Tensor, list[Tensor]]:
        """What the learned tokens and the parts have heard of one another, (batch, positions, width), and the layers'
        weights where asked.
        """
        count, size = len(each), each[0].shape[0]
        tokens = self.tokens.to(each[0].dtype).expand(size, -1, -1)  # (batch, inputs, width)
        x = self.dropout(torch.cat((tokens, *each), dim=1))
        place = [torch.arange(count), *(torch.full((one.shape[1],), i) for i, one in enumerate(each))]
        of_input = torch.cat(place).to(x.device)  # (positions,)
        keys = torch.cat((own[0].new_ones(size, count), *own), dim=1)[:, None, None, :]
        apart = of_input[:, None] != of_input if self.config.fusion == "cross" else torch.ones_like(keys)
        keep = keys & apart  # (batch, 1, query, key)
        weights: list[Tensor] = []
        for layer in self.layers:
            x, attended = self.run(layer, x, keep=keep, rotation=None, need_weights=need_weights)
            if attended is not None:
                weights.append(attended)
        return x, weights

    def _pooled(
        self, x: Tensor, own: list[Tensor], given: Tensor, *, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        if self.join is None:
            kept = nn.functional.pad(torch.cat(own, dim=1), (len(own), 0))  # no learned token is pooled
            found: tuple[Tensor, Tensor | None] = self.pools[0](x, kept, need_weights=need_weights)
            return found
        vectors, shares = [], []
        for i, (pool, part, kept) in enumerate(
            zip(self.pools, x.split([o.shape[1] for o in own], 1), own, strict=True)
        ):
            has = given[:, i]
            # of an input that is missing any place may be pooled, since its learned token stands for it
            vector, share = pool(part, kept | ~has[:, None], need_weights=need_weights)
            shape = (-1, *[1] * (vector.ndim - 1))
            vectors.append(torch.where(has.view(shape), vector, self.tokens[i].to(vector.dtype)))
            if share is not None:
                shares.append(share * has.view(-1, *[1] * (share.ndim - 1)))
        product = torch.stack(vectors).prod(0)
        pooled = nn.functional.gelu(self.join(torch.cat((*vectors, product), dim=-1)))
        return pooled, torch.cat(shares, dim=-1) if shares else None

    def save_assets(self, directory: Path) -> None:
        for one in self._each().values():
            one.network.save_assets(directory)

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Self:
        return cls(config, spec, directory=directory)


class Encoder(nn.Module):
    """A model of the house without its end: one input's parts as features of the width where inputs meet."""

    def __init__(self, config: CrossmodalConfig, name: str, spec: InputSpec, directory: Path | None) -> None:
        super().__init__()
        if spec.modality not in config.encoders:
            raise UserError(f"model.encoders: has none for {spec.modality}, which {name} is; name one")
        options = config.encoders[spec.modality]
        kind = schema.load(options._target_)
        alone = ModelSpec({name: spec}, AnswerSpec(1))
        network = kind(options, alone) if directory is None else kind.restore(options, alone, directory)
        if not isinstance(getattr(network, "pool", None), Pool):
            raise UserError(f"model.encoders.{spec.modality}: {kind.__name__} pools no features; take another model")
        self.name, self.network = name, network
        width = network.pool.norm.normalized_shape[0]
        self.keep = network.pool = Keep()
        network.head = Nothing()
        self.grid = self._grid_of(spec)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.width)
        # a convolution does not tell where in the image it is; a sequence's model does
        parts = None if self.grid is None or not isinstance(spec, ImageSpec) else self.grid[0] * self.grid[1]
        self.places = None if parts is None else nn.Parameter(torch.empty(parts, config.width))
        if self.places is not None:
            nn.init.trunc_normal_(self.places, std=EMBEDDING_DEVIATION)

    @torch.no_grad()
    def _grid_of(self, spec: InputSpec) -> Grid:
        if not isinstance(spec, ImageSpec):
            return getattr(self.network, "grid", None)
        training = self.network.training
        self.network.eval()
        image = ImageInput(pixels=torch.zeros(1, spec.channels, spec.height, spec.width))
        one = Batch(inputs={self.name: image}, targets={}, ids=torch.zeros(1, dtype=torch.long))
        attention = self.network(one, need_attention=True, need_layers=False).attention
        self.network.train(training)
        grid: Grid = attention.grids[0]
        return grid

    def forward(self, one: Input, ids: Tensor) -> Tensor:
        """-> (batch, parts, width)"""
        self.network(Batch(inputs={self.name: one}, targets={}, ids=ids))
        x: Tensor = self.project(self.norm(self.keep.taken()))
        return x if self.places is None else x + self.places


class Keep(nn.Module):
    """Stands in place of a model's pooling, and holds what it would have pooled."""

    kind: ClassVar[str] = "attention"

    def __init__(self) -> None:
        super().__init__()
        self.features: Tensor | None = None

    def forward(self, x: Tensor, own: Tensor | None, *, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        self.features = x
        return x[:, 0], normalise(x.new_ones(x.shape[:2]), own) if need_weights else None

    def taken(self) -> Tensor:
        found, self.features = self.features, None
        assert found is not None, "the model has been called"
        return found


class Nothing(nn.Module):
    """Stands in place of a model's head."""

    def forward(self, pooled: Tensor, *others: Any) -> Tensor:
        return pooled


def _own(one: Input, x: Tensor, given: Tensor) -> Tensor:
    """Which parts are an input's own, (batch, parts) bool: none of one that is missing."""
    own = one.own()
    every = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if own is None else own
    return every & given[:, None]
