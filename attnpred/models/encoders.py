"""Encoders of the `transformers` library: found, loaded quietly, checked, and made to attend with our own function."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModel
from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

from attnpred.errors import UserError
from attnpred.files import read_json
from attnpred.machine import hub
from attnpred.modalities.text.batch import TextSpec
from attnpred.models.attention import attend
from attnpred.models.dropout import Dropout
from attnpred.models.embedding import Embedding

INTERFACE = "attnpred"  # the name under which transformers knows `attend`
PLACE = "model.source"
# parts of the keys by which a config would have transformers fetch and run something, in one way or another
FOREIGN_CODE = ("auto_map", "_implementation", "quantization_config")


class Wanted(Protocol):
    """What a model's options say of its encoder."""

    @property
    def source(self) -> str: ...
    @property
    def pooling(self) -> str: ...
    @property
    def dropout(self) -> float | None: ...
    @property
    def attention_dropout(self) -> float | None: ...


def make(architecture: Any) -> Any:
    """An encoder of the given architecture, a transformers config, with fresh weights."""
    own: dict[str, Any] = {"attn_implementation": "eager", "trust_remote_code": False}
    encoder = AutoModel.from_config(architecture, dtype=torch.get_default_dtype(), **own)
    return _adapted(encoder)


def architecture(file: Path) -> Any:
    """The transformers config that a run keeps; what in it names code, or kernels, of somewhere else is left out."""
    values = read_json(file)
    try:
        return architecture_of(values)
    except Exception as error:  # of any type, by what is wrong with it
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file}: no encoder can be made of it ({reason}); restore the file") from None


def architecture_of(values: Any) -> Any:
    """The transformers config that these values are, without what names code, or kernels, of somewhere else."""
    own = {key: value for key, value in values.items() if not any(word in key for word in FOREIGN_CODE)}
    return AutoConfig.for_model(**own)


def load(config: Wanted) -> Any:
    """The pretrained encoder."""
    return _adapted(pretrained(config.source, AutoModel, "encoder", partial(_set_dropout, config=config)))


def pretrained(source: str, auto: Any, what: str, prepare: Callable[[Any], None]) -> Any:
    """A pretrained network: from the disk, else from the hub's cache, else from the hub.

    `auto` is the class of transformers that makes it, `what` names it in messages, and `prepare` changes its config.
    """
    load_from = partial(_load_from, named=source, auto=auto, what=what, prepare=prepare)
    local = hub.locate_model(source, place=PLACE)
    if local is not None:
        return load_from(str(local), local_files_only=True)
    try:
        return load_from(source, local_files_only=True)
    except NotThereError:
        hub.require(source, None, place=PLACE, kind="model")
    return load_from(source, local_files_only=False)


class NotThereError(UserError):
    """The place that was looked at has no encoder."""


def _adapted(encoder: Any) -> Any:
    """Gives it our own attention, where its kind can change that, dropout and embedding; and takes off the pooler."""
    if encoder.is_backend_compatible():
        encoder.set_attn_implementation(INTERFACE)
    pooler = getattr(encoder, "pooler", None)
    if pooler is not None and any(True for _ in pooler.parameters()):
        encoder.pooler = None  # parameters that get no gradient would stop training on several devices
    for name, parameter in encoder.named_parameters():
        if "_global." in name:  # of Longformer, for tokens that read the whole text: here none does
            parameter.requires_grad_(False)
    try:
        table = encoder.get_input_embeddings()
    except NotImplementedError:  # of images
        table = None
    if type(table) is nn.Embedding:
        encoder.set_input_embeddings(Embedding.of(table))
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
    return encoder


def _load_from(
    source: str, *, named: str, auto: Any, what: str, prepare: Callable[[Any], None], local_files_only: bool
) -> Any:
    # A checkpoint's own code is never run, nor asked for on the terminal
    where = {"local_files_only": local_files_only, "trust_remote_code": False}
    try:
        architecture = AutoConfig.from_pretrained(source, **where)
        prepare(architecture)
        with hub.quiet_transformers():
            network, report = auto.from_pretrained(
                source,
                config=architecture,
                attn_implementation="eager",
                dtype=torch.get_default_dtype(),
                output_loading_info=True,
                **where,
            )
    except (OSError, ValueError, SafetensorError, UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise NotThereError(f"{PLACE}={named}: no {what} can be loaded from there ({reason}); give another") from None
    lost = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if lost:
        raise UserError(
            f"{PLACE}={named}: its weights lack {len(lost)} of the {what}'s tensors (the first: {lost[0]}); "
            "give a checkpoint whose weights belong to its config.json"
        )
    return network


def _set_dropout(architecture: Any, config: Wanted) -> None:
    """Model types name their dropouts differently; all have the word in it, and attention's has both."""
    for name, value in architecture.to_dict().items():
        wanted = config.attention_dropout if "attention" in name or "attn" in name else config.dropout
        if "dropout" in name and isinstance(value, int | float) and wanted is not None:
            setattr(architecture, name, wanted)


def dropout_of(encoder: Any) -> float:
    """The share of features that the encoder itself drops in training."""
    for name in ("hidden_dropout_prob", "dropout"):
        if (share := getattr(encoder.config, name, None)) is not None:
            return share
    return 0.0


def token_types(encoder: Any) -> int:
    """How many texts of a sequence the encoder can tell apart; 0 where it cannot."""
    table = getattr(getattr(encoder, "embeddings", None), "token_type_embeddings", None)
    return 0 if table is None else int(table.num_embeddings)


def last_layer(encoder: Any) -> set[nn.Module] | bool:
    """The modules of the encoder's last layer, to ask for its weights alone; True, for all, where none can be told.

    transformers looks only whether its `output_attentions` is true, and hands it on to `_transformers_attention`.
    """
    found = layers(encoder)
    return set(found[-1].modules()) if len(found) else True


def attentions(encoder: Any, encoded: Any) -> tuple[Tensor, ...]:
    """The weights of every layer, (batch, heads, query, key); empty where they were not asked for."""
    found: tuple[Tensor, ...] = tuple(encoded.attentions or ())
    return tuple(map(_from_windows, found)) if encoder.config.model_type == "longformer" else found


def _from_windows(weights: Tensor) -> Tensor:
    """Longformer's weights say how much each token reads of its neighbours: (batch, heads, query, window + 1)."""
    batch, heads, length, around = weights.shape
    wide = weights.new_zeros(batch, heads, length, length + around - 1)
    places = torch.arange(length, device=weights.device)[:, None] + torch.arange(around, device=weights.device)
    wide = wide.scatter(3, places.expand_as(weights), weights)
    return wide[..., around // 2 : around // 2 + length]


def levels(encoder: Any) -> list[list[nn.Module]]:
    """Embeddings, then the layers; all as one where none can be told."""
    found = layers(encoder)
    if not len(found):
        return [[encoder]]
    inside = {id(module) for layer in found for module in layer.modules()}
    holds = [name for name, module in encoder.named_children() if any(id(m) in inside for m in module.modules())]
    return [
        [module for name, module in encoder.named_children() if name not in holds],
        *([layer] for layer in found),
    ]


def layers(encoder: Any) -> nn.ModuleList:
    """The encoder's layers; empty where none can be told."""
    depth = getattr(encoder.config, "num_hidden_layers", None)
    stacks = (m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)
    return next(stacks, nn.ModuleList())


def recompute(encoder: Any) -> None:
    """Has the encoder make its activations again in the backward pass."""
    if not encoder.supports_gradient_checkpointing:
        raise UserError(f"model.recompute=true: {type(encoder).__name__} cannot do that; set it to false")
    newer = getattr(encoder, "activation_checkpointing_enable", None)
    (newer or encoder.gradient_checkpointing_enable)({"use_reentrant": False})


def check_fit(encoder: Any, config: Wanted, spec: TextSpec, before: int = 0) -> None:
    """Refuses what would fail, or learn nothing, later and less clearly; so many places stand `before` a text."""
    known = encoder.config
    if known.is_encoder_decoder:
        raise UserError(f"{PLACE}={config.source}: {known.model_type} has a decoder too; give an encoder")
    entries = encoder.get_input_embeddings().num_embeddings
    if spec.vocab_size > entries:
        raise UserError(
            f"{PLACE}={config.source}: its tokenizer has {spec.vocab_size} entries, its weights {entries}; "
            "give a checkpoint whose tokenizer and weights belong together"
        )
    longest = getattr(known, "max_position_embeddings", None)
    table: Any = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    if longest and getattr(table, "padding_idx", None) is not None:
        longest -= table.padding_idx + 1  # RoBERTa counts positions from behind the padding's
    if longest and longest > 0 and spec.max_length + before > longest:
        raise UserError(
            f"data.max_length={spec.max_length}: {config.source} reads at most {longest - before} tokens; set that or "
            "less"
        )
    if config.pooling == "cls" and not spec.prefix:
        raise UserError(
            f"model.pooling=cls: the tokenizer of {config.source} puts no token first; take mean or attention"
        )


def _transformers_attention(
    module: nn.Module,
    query: Tensor,  # (batch, heads, length, head_dim)
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    output_attentions: bool | set[nn.Module] | None = False,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """`attend`, as transformers calls it -> (batch, length, heads, head_dim), and the weights where asked

    `output_attentions` may hold the modules that are asked.
    """
    for name in ("softcap", "position_bias", "s_aux"):
        if others.get(name) is not None:
            raise UserError(
                f"{PLACE}: {type(module).__name__} attends with {name}, which is not supported; give another encoder"
            )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    asked = module in output_attentions if isinstance(output_attentions, set) else bool(output_attentions)
    read, weights = attend(query, key, value, keep=attention_mask, dropout=dropout, need_weights=asked, scale=scaling)
    return read.transpose(1, 2).contiguous(), weights


def _transformers_mask(*, mask_function: Any, attention_mask: Tensor | None = None, **others: Any) -> Tensor | None:
    """The mask for `_transformers_attention`: padding alone stays one row an example, windows are spelt out."""
    if mask_function is bidirectional_mask_function:
        return None if attention_mask is None else attention_mask[:, None, None, :]
    others |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": attention_mask is None}
    mask = sdpa_mask(mask_function=mask_function, attention_mask=attention_mask, **others)
    if mask is None or attention_mask is None:
        return mask
    # A padded position far from every token would attend to nothing, which is not a number; nobody reads what it finds
    return mask | torch.eye(*mask.shape[-2:], dtype=torch.bool, device=mask.device)


AttentionInterface.register(INTERFACE, _transformers_attention)
AttentionMaskInterface.register(INTERFACE, _transformers_mask)
