"""What the rooms hand one another: batches, the input's specification, and a model's output."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, get_args, get_origin, get_type_hints

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples of one modality. `labels` is None for new input, and (batch, classes) where labels are mixed."""

    labels: Tensor | None  # (batch,) int64, or (batch, classes) float
    ids: Tensor  # (batch,) int64: row in the split, to trace an example back
    # bool, where the data says it: which tokens (batch, length), or pixels (batch, height, width), decided the label
    evidence: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, places: Tensor) -> Self:
        """The examples at these places, as often and in the order that they are named."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[places] for k, v in values.items() if isinstance(v, Tensor)})

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {k: v.to(device, non_blocking=non_blocking) for k, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True)
class TextBatch(Batch):
    """Token ids, padded at the end to the batch's own longest."""

    tokens: Tensor  # (batch, length) int64
    lengths: Tensor  # (batch,) int64: tokens that are not padding
    padded: bool  # known on the host, so that no mask is made, and no device asked, where there is no padding
    prefix: int = 0  # special tokens that the tokenizer put before every text
    suffix: int = 0  # and behind it

    def valid(self) -> Tensor | None:
        """Which positions hold a token, (batch, length) bool; None where all do."""
        if not self.padded:
            return None
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def own(self) -> Tensor | None:
        """Which positions hold the text's own tokens, (batch, length) bool; None where all do.

        A text of special tokens alone keeps them, since every example must have something to attend to.
        """
        if not self.prefix and not self.suffix:
            return self.valid()
        place = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        empty = (self.lengths <= self.prefix + self.suffix)[:, None]
        inside = (place >= self.prefix) & (place < self.lengths[:, None] - self.suffix)
        return inside | (empty & (place < self.lengths[:, None]))


@dataclass(frozen=True, kw_only=True)
class ImageBatch(Batch):
    """Pixels as stored, 0 to 255; the model normalises them."""

    pixels: Tensor  # (batch, channels, height, width) uint8, or float after mixing

    def mirrored(self) -> Self:
        """Left and right exchanged."""
        evidence = None if self.evidence is None else self.evidence.flip(2)
        return replace(self, pixels=self.pixels.flip(3), evidence=evidence)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What a model must know of its input, kept in the run directory; `classes` are the labels' names."""

    modality: str
    classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.compare}

    def check(self) -> None:
        """Raises ValueError where the numbers do not belong together."""
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError("it has no classes, or one twice")


@dataclass(frozen=True, kw_only=True)
class TextSpec(InputSpec):
    modality: str = "text"
    vocab_size: int
    max_length: int  # longest sequence, special tokens included
    pad_id: int
    mask_id: int  # stands for a token that is taken away
    prefix: tuple[int, ...] = ()  # ids of the special tokens before every text
    suffix: tuple[int, ...] = ()
    # tokens' letters by their numbers; the tokenizer knows them, so that they are neither saved nor compared
    spelled: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)

    def check(self) -> None:
        super().check()
        if not all(0 <= one < self.vocab_size for one in (self.pad_id, self.mask_id, *self.prefix, *self.suffix)):
            raise ValueError("a special token lies outside of the vocabulary")
        if self.max_length <= len(self.prefix) + len(self.suffix):
            raise ValueError("max_length leaves no room beside the special tokens")


@dataclass(frozen=True, kw_only=True)
class ImageSpec(InputSpec):
    modality: str = "image"
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]  # a channel, in units of 0 to 255, of the training pixels
    std: tuple[float, ...]

    def check(self) -> None:
        super().check()
        if self.channels not in (1, 3) or min(self.height, self.width) < 1:
            raise ValueError("its images have no such size")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("mean and std need a number a channel")


def spec_from_dict(values: dict[str, Any]) -> InputSpec:
    """The specification that `as_dict` described, as it comes back from JSON; ValueError where it is none."""
    kinds: dict[str, type[InputSpec]] = {"text": TextSpec, "image": ImageSpec}
    kind = kinds.get(str(values.get("modality")))
    if kind is None:
        raise ValueError("its modality is neither text nor image")
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    known = get_type_hints(kind)
    hints = {f.name: known[f.name] for f in fields(kind) if f.compare}
    for name in [*hints, *given]:
        if name not in hints or name not in given or not _is(given[name], hints[name]):
            raise ValueError(f"{name} is missing, unknown, or of another type")
    spec = kind(**given)
    spec.check()
    return spec


def _is(value: Any, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is(one, get_args(hint)[0]) for one in value)
    return type(value) is hint or (hint is float and type(value) is int)


@dataclass(frozen=True)
class Attention:
    """Which parts of the input decided the label, and the raw weights behind that.

    Parts are a text's tokens, or an image's regions in reading order on `grid` (rows, columns).
    """

    importance: Tensor  # (batch, parts) float32: sums to 1 over an example's own parts, 0 on padding and special tokens
    layers: tuple[Tensor, ...] = ()  # each (batch, heads, query, key); none where a model was told to leave them out
    grid: tuple[int, int] | None = None
    # (batch, positions): what the pooling takes of each position behind the last layer. Positions are the parts, and
    # before them those that are no part of the input, such as a learned token
    read: Tensor | None = None
    signed: bool = False  # parts can speak against the label, below 0, and nothing need sum to 1


@dataclass(frozen=True)
class ModelOutput:
    logits: Tensor  # (batch, classes)
    attention: Attention | None = None
