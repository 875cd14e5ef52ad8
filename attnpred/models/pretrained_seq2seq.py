"""A pretrained encoder-decoder, fine-tuned: T5, BART, Marian, or any other that `transformers` loads by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from attnpred.contracts import Batch, ModelSpec
from attnpred.errors import UserError
from attnpred.modalities.text.batch import TextInput
from attnpred.models import encoders
from attnpred.models.decoding import shifted
from attnpred.models.generating import GeneratingModel, Memory

FILE = "encoder_decoder.json"  # in the run directory: the architecture
PLACE = "model.source"
DROPOUTS = ("dropout", "dropout_rate", "attention_dropout")  # as architectures name theirs


class PretrainedSeq2seq(GeneratingModel):
    """The alignment is the mean over heads of one decoder layer's cross-attention."""

    def __init__(self, config: Any, spec: ModelSpec, *, architecture: Any = None) -> None:
        """With `architecture`, a transformers config, the network is made from it and nothing is loaded."""
        super().__init__(config, spec)
        self.network = load(config) if architecture is None else made(architecture)
        self.enter = nn.Identity()
        known = self.network.config
        entries = self.network.get_input_embeddings().num_embeddings
        if spec.answer.width > entries:
            raise UserError(
                f"{PLACE}={config.source}: its tokenizer has {spec.answer.width} entries, its weights {entries}; give "
                "a checkpoint whose tokenizer and weights belong together"
            )
        begin = known.decoder_start_token_id
        if begin is None:
            raise UserError(f"{PLACE}={config.source}: does not say by which token an answer begins; give another")
        self.generation = replace(self.generation, begin=int(begin))
        layers: int = getattr(known, "num_decoder_layers", 0) or getattr(known, "decoder_layers", 0) or 1
        self.aligning = max(layers - 2, 0) if config.alignment_layer is None else config.alignment_layer
        if self.aligning >= layers:
            raise UserError(f"model.alignment_layer={self.aligning}: {config.source} has {layers}, counted from 0")

    def entrance(self) -> nn.Module:
        return self.enter

    def levels(self) -> list[list[nn.Module]]:
        encoder, decoder = self.network.get_encoder(), self.network.get_decoder()
        inner = [_layers(one) for one in (encoder, decoder)]
        inside = {id(layer) for layers in inner for layer in layers}
        below = [m for m in encoder.children() if not any(id(one) in inside for one in m.modules())]
        return [below, *([layer] for layers in inner for layer in layers), [self.network]]

    def encode(self, batch: Batch, *, need_weights: bool = False) -> Memory:
        read = batch.input
        assert isinstance(read, TextInput)
        encoder, valid = self.network.get_encoder(), read.valid()
        vectors = encoder.get_input_embeddings()(read.tokens) * float(getattr(encoder, "embed_scale", 1.0))
        mask = torch.ones_like(read.tokens) if valid is None else valid.long()
        encoded = encoder(inputs_embeds=self.enter(vectors), attention_mask=mask, output_attentions=need_weights)
        return Memory(encoded.last_hidden_state, valid, tuple(encoded.attentions or ()) if need_weights else ())

    def decode(
        self, tokens: Tensor, memory: Memory, *, need_weights: bool = False, need_own_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        found = self.ask(shifted(tokens, self.generation), memory, output_attentions=need_weights, use_cache=False)
        alignment = found.cross_attentions[self.aligning].float().mean(1) if need_weights else None
        return found.logits[..., : self.spec.answer.width], alignment

    def ask(self, tokens: Tensor, memory: Memory, **options: Any) -> Any:
        """The network's output for what the decoder reads, (rows, steps)."""
        from transformers.modeling_outputs import BaseModelOutput

        kept = None if memory.keep is None else memory.keep.long()
        encoded = BaseModelOutput(last_hidden_state=memory.features)
        return self.network(encoder_outputs=encoded, attention_mask=kept, decoder_input_ids=tokens, **options)

    def begin(self, memory: Memory, each: int) -> "PretrainedSteps":
        return PretrainedSteps(self, memory, each)

    def save_assets(self, directory: Path) -> None:
        values = self.network.config.to_dict()
        values.pop("_name_or_path", None)  # a place on this machine
        (directory / FILE).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Self:
        return cls(config, spec, architecture=encoders.architecture(directory / FILE))


class PretrainedSteps:
    """The decoder at work on some hypotheses, with the cache of `transformers`."""

    def __init__(self, model: PretrainedSeq2seq, memory: Memory, each: int) -> None:
        from transformers.cache_utils import DynamicCache, EncoderDecoderCache

        self.model, self.each = model, each
        self.memory = _rows(memory, torch.arange(len(memory.features)).repeat_interleave(each))
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def step(self, tokens: Tensor) -> Tensor:
        found = self.model.ask(tokens[:, None], self.memory, past_key_values=self.cache, use_cache=True)
        logits: Tensor = found.logits[:, -1, : self.model.spec.answer.width]
        return logits

    def keep(self, rows: Tensor, sentences: Tensor | None) -> None:
        self.cache.reorder_cache(rows)
        self.memory = _rows(self.memory, rows)


def _layers(side: nn.Module) -> nn.ModuleList:
    """Those of an encoder or decoder: its longest list of modules."""
    lists = [module for module in side.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=nn.ModuleList())


def _rows(memory: Memory, rows: Tensor) -> Memory:
    rows = rows.to(memory.features.device)
    return Memory(memory.features[rows], None if memory.keep is None else memory.keep[rows])


def made(architecture: Any) -> Any:
    """A network of the given architecture with fresh weights."""
    from transformers import AutoModelForSeq2SeqLM

    own: dict[str, Any] = {"attn_implementation": "eager", "trust_remote_code": False}
    return AutoModelForSeq2SeqLM.from_config(architecture, dtype=torch.get_default_dtype(), **own)


def load(config: Any) -> Any:
    """The pretrained network. Its own code is never run."""
    from transformers import AutoModelForSeq2SeqLM

    def set_dropout(architecture: Any) -> None:
        for name in DROPOUTS:
            if hasattr(architecture, name):
                setattr(architecture, name, config.attention_dropout if "attention" in name else config.dropout)

    return encoders.pretrained(config.source, AutoModelForSeq2SeqLM, "encoder-decoder", set_dropout)
