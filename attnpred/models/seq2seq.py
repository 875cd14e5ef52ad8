"""Encoder-decoders: a transformer, or recurrent ones with additive or multiplicative attention."""

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_HEADS, MOST_LAYERS, Modality, ModelConfig, Shape
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Batch, ModelSpec
from attnpred.machine.device import number_format
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.decoder_layer import DecoderLayer, KeysAndValues
from attnpred.models.decoding import shifted
from attnpred.models.dropout import Dropout
from attnpred.models.generating import GeneratingModel, Memory
from attnpred.models.halves import halve
from attnpred.models.key_value_cache import KeyValueCache, Lineage
from attnpred.models.layer import Layer, initialise
from attnpred.models.positions import EMBEDDING_DEVIATION, Positions
from attnpred.models.recurrent_seq2seq import RecurrentSeq2seq

FORGET_EVERY = 8  # steps, after which tokens are let go that no hypothesis has behind it any more
MOST_HELD = 0.75  # share of the sentences held that are active, at which the others leave


@dataclass(kw_only=True)
class Seq2seqConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("text",)
    answers: ClassVar[tuple[Shape, ...]] = ("sequence",)

    source: str | None = option(
        "Hub id or directory of a pretrained encoder-decoder and its tokenizer; null makes one from scratch. It has a "
        "width, layers and positions of its own.",
        default=None,
    )
    cell: Literal["lstm", "gru"] | None = option(
        "Kind of cell of a recurrent encoder-decoder; null makes a transformer.", default=None
    )
    attention: Literal["additive", "multiplicative"] = option(
        "How a recurrent decoder asks what was read: by a small network, or by a product.", default="additive"
    )
    width: int = option("Features of a token.", ge=4, le=MOST_FEATURES)
    depth: int = option("Layers of the encoder.", ge=1, le=MOST_LAYERS)
    decoder_depth: int | None = option("Layers of the decoder; null has as many.", ge=1, le=MOST_LAYERS)
    heads: int = option("Attention heads a layer.", ge=1, le=MOST_HEADS)
    mlp_ratio: float = option("Hidden features of a layer's MLP, in widths.", gt=0, le=1_000)
    dropout: float = option("Share of features dropped in training.", ge=0, lt=1)
    attention_dropout: float = option("Share of attention weights dropped in training.", ge=0, lt=1)
    positions: Literal["learned", "sinusoidal", "rotary"] = option("How places are told.")
    tied: bool = option(
        "One table of vectors for what the decoder reads and says, and for the source where both share a vocabulary."
    )
    alignment_layer: int | None = option(
        "Layer of the decoder, from 0 on, whose cross-attention is the alignment; null takes the last but one.",
        ge=0,
        lt=MOST_LAYERS,
        default=None,
    )

    def check(self) -> None:
        if self.source is not None and self.cell is not None:
            raise Invalid("cell", "a pretrained network has layers of its own; set it to null, or source")
        if self.source is None and self.cell is None:
            self._check_transformer()

    def _check_transformer(self) -> None:
        if self.width % self.heads:
            raise Invalid("heads", f"must divide width={self.width}")
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise Invalid("heads", f"rotary positions need an even width={self.width} / heads")
        if self.positions == "sinusoidal" and self.width % 2:
            raise Invalid("width", "sinusoidal positions need a multiple of 2")
        if self.alignment_layer is not None and self.alignment_layer >= self.layers_of_decoder():
            raise Invalid("alignment_layer", f"the decoder has {self.layers_of_decoder()} layers, counted from 0")

    def tokenizer_source(self) -> str | None:
        return self.source

    def layers_of_decoder(self) -> int:
        return self.decoder_depth or self.depth


class Seq2seq(GeneratingModel):
    """A pre-norm transformer; the alignment is the mean over heads of one layer's cross-attention.

    With a cell it is a `RecurrentSeq2seq`, with a source a `PretrainedSeq2seq`.
    """

    config: Seq2seqConfig

    def __new__(cls, *given: Any) -> Any:
        if given and given[0].source is not None:  # nothing is given where a model is copied
            return _pretrained()(*given)
        return RecurrentSeq2seq(*given) if given and given[0].cell is not None else super().__new__(cls)

    def __init__(self, config: Seq2seqConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        source, width = spec.input, config.width
        assert isinstance(source, TextSpec)
        head_dim = width // config.heads
        self.scale = EMBEDDING_DEVIATION * math.sqrt(width)
        self.table = nn.Embedding(spec.answer.width, width)
        shares = config.tied and self.generation.shared
        self.source_table = None if shares else nn.Embedding(source.vocab_size, width)
        self.enter = nn.Identity()
        longest = (source.max_length, self.generation.longest)
        self.source_positions, self.positions = (
            Positions(config.positions, width=width, head_dim=head_dim, length=length) for length in longest
        )
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.depth))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers_of_decoder()))
        self.norm = nn.LayerNorm(width)
        self.head = None if config.tied else nn.Linear(width, spec.answer.width, bias=False)
        last = len(self.decoder) - 1
        self.aligning = max(last - 1, 0) if config.alignment_layer is None else config.alignment_layer
        self._initialise()

    def _initialise(self) -> None:
        for stack in (self.encoder, self.decoder):
            initialise(stack, len(stack))
        for table in (self.table, self.source_table, self.head):
            if table is not None:
                nn.init.trunc_normal_(table.weight, std=self.config.width**-0.5)

    def entrance(self) -> nn.Module:
        return self.enter

    def levels(self) -> list[list[nn.Module]]:
        tables = [self.table, *([] if self.source_table is None else [self.source_table])]
        below = [[*tables, self.source_positions, self.positions], *([layer] for layer in self.encoder)]
        above = [self.norm, *([] if self.head is None else [self.head])]
        return [*below, [self.encoder_norm], *([layer] for layer in self.decoder), above]

    def encode(self, batch: Batch, *, need_weights: bool = False) -> Memory:
        read = batch.input
        assert isinstance(read, TextInput)
        table = self.table if self.source_table is None else self.source_table
        valid = read.valid()
        x = self.enter(table(read.tokens) * self.scale)  # (batch, source, width)
        x = self.dropout(self.source_positions(x))
        rotation = self.source_positions.rotation(x.shape[1], x.device, before=0)
        weights: list[Tensor] = []
        for layer in self.encoder:
            x, attended = self.run(layer, x, keep=valid, rotation=rotation, need_weights=need_weights)
            if attended is not None:
                weights.append(attended)
        return Memory(self.encoder_norm(x), valid, tuple(weights))

    def decode(
        self, tokens: Tensor, memory: Memory, *, need_weights: bool = False, need_own_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        x = self.dropout(self.positions(self.table(shifted(tokens, self.generation)) * self.scale))
        rotation = self.positions.rotation(x.shape[1], x.device, before=0)
        alignment = None
        layer: Any
        for place, layer in enumerate(self.decoder):
            x, weights = self.run(
                layer,
                x,
                layer.cross.remembered(memory.features),
                keep=memory.keep,
                rotation=rotation,
                need_weights=need_weights and (place == self.aligning or need_own_weights),
                need_own_weights=need_own_weights,
            )
            if place == self.aligning and weights is not None:
                alignment = weights.mean(1)
        return self.logits(x), alignment

    def logits(self, x: Tensor) -> Tensor:
        """(…, width) -> (…, vocabulary)"""
        return F.linear(self.norm(x), self.says())

    def says(self) -> Tensor:
        """A vector for each token that can be said."""
        return self.table.weight if self.head is None else self.head.weight

    def begin(self, memory: Memory, each: int) -> "TransformerSteps":
        return TransformerSteps(self, memory, each)

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Any:
        if config.source is not None:
            return _pretrained().restore(config, spec, directory)
        return cls(config, spec)


def _pretrained() -> Any:
    """Its class, which needs `transformers`."""
    from attnpred.models.pretrained_seq2seq import PretrainedSeq2seq

    return PretrainedSeq2seq


class EncoderLayer(Layer):
    """A layer that drops features one by one, as decoders do."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.dropout = Dropout(config.dropout)  # type: ignore[assignment]


class TransformerSteps:
    """A transformer at work on some hypotheses; keys and values of what was read are kept once a sentence.

    A sentence that has ended is worked on until a quarter of those there are have: leaving copies all that is held.
    """

    def __init__(self, model: Seq2seq, memory: Memory, each: int) -> None:
        self.model, self.each = model, each
        self.decoder, self.head = model.decoder, model.says()
        half = number_format(memory.features)
        if half != self.head.dtype:
            self.decoder, self.head = copy.deepcopy(model.decoder), self.head.to(half)
            halve(self.decoder.modules(), half)
        layers: Any = self.decoder
        self.memory: list[KeysAndValues] = [layer.cross.remembered(memory.features) for layer in layers]
        self.attended = memory.keep
        self.active = torch.arange(len(memory.features), device=memory.features.device)  # of the sentences held
        self.lineage = Lineage(each)
        self.caches = [KeyValueCache(each) for _ in layers]
        longest = model.generation.longest
        self.rotation = model.positions.rotation(longest, memory.features.device, before=0)
        self.done = 0

    def step(self, tokens: Tensor) -> Tensor:
        model, place = self.model, self.done
        self.done += 1
        held = len(self.memory[0][0])
        if len(self.active) < held:
            every = tokens.new_zeros(held, self.each)
            every[self.active] = tokens.view(-1, self.each)
            tokens = every.flatten()
        self.lineage.step(held, tokens.device)
        mask = self.lineage.mask()
        x = model.positions(model.table(tokens)[:, None] * model.scale, start=place)  # (rows, 1, width)
        rotation = None
        if self.rotation is not None:
            cos, sin = self.rotation
            rotation = (cos[place : place + 1], sin[place : place + 1])
        for layer, remembered, cache in zip(self.decoder, self.memory, self.caches, strict=True):
            x, _ = layer(x, remembered, keep=self.attended, rotation=rotation, cache=cache, lineage=mask)
        if len(self.active) < held:
            x = x.view(held, self.each, -1)[self.active].flatten(0, 1)[:, None]
        return F.linear(model.norm(x[:, 0]), self.head)

    def keep(self, rows: Tensor, sentences: Tensor | None) -> None:
        if sentences is not None:
            self.active = self.active[sentences]
        if not len(self.active):
            return
        self.lineage.follow(self.active, rows.view(-1, self.each) % self.each)
        if len(self.active) <= MOST_HELD * len(self.memory[0][0]):
            self._let_go()
        if self.done % FORGET_EVERY == 0 and (places := self.lineage.forgotten()) is not None:
            for cache in self.caches:
                cache.forget(places)

    def _let_go(self) -> None:
        """Holds the active sentences alone."""
        active = self.active
        self.memory = [(key[active], value[active]) for key, value in self.memory]
        self.attended = None if self.attended is None else self.attended[active]
        self.lineage.keep(active)
        for cache in self.caches:
            cache.keep(active)
        self.active = torch.arange(len(active), device=active.device)
