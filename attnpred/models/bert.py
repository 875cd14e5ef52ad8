"""A pretrained text encoder, fine-tuned: BERT, or any other that `transformers` loads by name."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.adapter_options import AdaptedConfig
from attnpred.config.options import Modality, Shape
from attnpred.config.schema import option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models import adapters, encoders
from attnpred.models.attention import Head, Pool, normalise, of_chosen, pass_through
from attnpred.models.base import Model
from attnpred.models.dropout import Dropout
from attnpred.models.embedding import Embedding
from attnpred.models.hidden import Hidden, refuse_beside_hidden
from attnpred.models.parts import Parts
from attnpred.models.predicted import PredictedAttention

ENCODER_FILE = "encoder.json"  # in the run directory: the encoder's architecture


@dataclass(kw_only=True)
class BertConfig(AdaptedConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("text", "words")
    answers: ClassVar[tuple[Shape, ...]] = ("whole", "parts", "hidden")

    source: str = option("Hub id or directory of the encoder and its tokenizer.")
    pooling: Literal["attention", "cls", "mean"] = option("How the last layer becomes one vector.")
    dropout: float | None = option(
        "Share of features dropped in training; null keeps the checkpoint's own.", ge=0, lt=1
    )
    attention_dropout: float | None = option(
        "Share of attention weights dropped; null keeps the checkpoint's own.",
        ge=0,
        lt=1,
    )

    def tokenizer_source(self) -> str | None:
        return self.source


class Bert(Model):
    """Importance by pooling: `attention`, the pooling's own weights; `cls`, the first token's row of the last layer,
    averaged over heads; `mean`, equal shares of the own tokens pushed through the last layer, averaged over heads.

    Special tokens take part in the layers, but `attention` and `mean` never pool them, and they are never important.
    Where each part has an answer nothing is pooled: see `Parts`.
    """

    def __init__(self, config: BertConfig, spec: ModelSpec, *, architecture: Any = None) -> None:
        """With `architecture`, a transformers config, the encoder is made from it and nothing is loaded."""
        super().__init__(config, spec)
        assert isinstance(spec.input, TextSpec)
        refuse_beside_hidden(config, spec)
        self.encoder = encoders.load(config) if architecture is None else encoders.make(architecture)
        longer = config.adapter_size if config.adapter == "prompt" else 0
        encoders.check_fit(self.encoder, config, spec.input, longer)
        self.budget = adapters.add(self.encoder, config, encoders.layers(self.encoder))
        self.prompt = adapters.Prompt(self.encoder.get_input_embeddings(), config.adapter_size) if longer else None
        if config.recompute:
            encoders.recompute(self.encoder)
        self.typed = encoders.token_types(self.encoder) >= max(len(spec.input.names), 2)
        width = self.encoder.config.hidden_size
        self.pool = self._ending(config, width)
        self.dropout = Dropout(encoders.dropout_of(self.encoder) if config.dropout is None else config.dropout)
        self.head: nn.Module = nn.Identity()  # of hidden parts, which are compared with the tokens' own vectors
        if not isinstance(self.pool, Hidden):
            self.head = Head(width, spec.answer)
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)
        widths = (self.encoder.get_input_embeddings().embedding_dim, width)
        self.predicted = PredictedAttention.where_asked(config, widths, width, spec.answer)

    def _ending(self, config: BertConfig, width: int) -> Pool | Parts | Hidden:
        """What makes the answer of the last layer's features."""
        if self.spec.answer.shape == "whole":
            return Pool(width, config.pooling, answers=len(self.spec.answer.answers))
        if self.spec.answer.shape == "parts":
            return Parts(width, self.spec.answer)
        table = self.encoder.get_input_embeddings()
        if isinstance(table, Embedding):
            table.shared = True
        return Hidden(width, self.spec.answer, table_width=table.embedding_dim)

    def entrance(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def levels(self) -> list[list[nn.Module]]:
        prompt = [] if self.prompt is None else [self.prompt]
        return [*encoders.levels(self.encoder), [self.pool, self.head, *prompt, *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        texts = batch.input
        assert isinstance(texts, TextInput)
        own = texts.own()
        # only the importance by `cls` and `mean`, and that of a part, is made of the last layer's weights
        flows = self.predicted is None and self.pool.kind != "attention"
        needed: Any = need_layers or (flows and encoders.last_layer(self.encoder))
        encoded = self._encoded(texts, need_attention and needed)
        before = 0 if self.prompt is None else len(self.prompt.vectors)
        features = encoded.last_hidden_state[:, before:]  # (batch, length, width)
        attentions = encoders.attentions(self.encoder, encoded) if need_attention else ()
        layers = attentions if need_layers else ()
        # among the text's own tokens
        attentions = tuple(weights[..., before:, before:] for weights in attentions)
        if isinstance(self.pool, Hidden):
            output = self.pool(features, batch, self.entrance().weight)
            if not need_attention:
                return output
            importance, share = self.pool.importance(
                output, choice, own, lambda read: pass_through(read, attentions[-1])
            )
            return replace(output, attention=Attention(importance, layers, read=F.pad(share, (before, 0))))
        if isinstance(self.pool, Parts):
            output = self.pool.output(self.head(self.dropout(self.pool.norm(features))), texts, own)
            if not need_attention:
                return output
            seen = (self.entrance()(texts.tokens), features) if self.predicted is not None else ()
            last = attentions[-1] if flows else None
            importance, share = self.pool.importance(
                output, choice, own, weights=last, predicted=self.predicted, features=seen
            )
            return replace(output, attention=Attention(importance, layers, read=F.pad(share, (before, 0))))
        pooled, share = self.pool(features, own, need_weights=need_attention)
        answer = self.head(self.dropout(pooled))
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        if self.predicted is not None:
            importance = self.predicted((self.entrance()(texts.tokens), features), pooled, answer, own, choice=choice)
        else:
            flowed = share if self.pool.kind == "attention" else pass_through(share, attentions[-1])
            importance = normalise(flowed, own)
        return ModelOutput(answer, Attention(importance, layers, read=F.pad(share, (before, 0))))

    def _encoded(self, texts: TextInput, weights: Any) -> Any:
        """What the encoder makes of the texts, behind the learned vectors where there are some."""
        valid, types = texts.valid(), texts.types() if self.typed else None
        read: dict[str, Any] = {"input_ids": texts.tokens}
        if self.prompt is not None:
            before = len(self.prompt.vectors)
            read = {"inputs_embeds": self.prompt(self.entrance()(texts.tokens))}
            valid = None if valid is None else F.pad(valid, (before, 0), value=True)
            types = None if types is None else F.pad(types, (before, 0))
        if types is not None:
            read["token_type_ids"] = types
        return self.encoder(**read, attention_mask=valid, output_attentions=weights)

    def save_assets(self, directory: Path) -> None:
        values = self.encoder.config.to_dict()
        values.pop("_name_or_path", None)  # a place on this machine
        (directory / ENCODER_FILE).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Self:
        return cls(config, spec, architecture=encoders.architecture(directory / ENCODER_FILE))
