"""Taking parts of an input away, which can be done in several ways: the choice changes what is measured."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import Removal
from attnpred.contracts import Batch, ImageBatch, ImageSpec, InputSpec, TextBatch, TextSpec
from attnpred.errors import UserError
from attnpred.explain.base import of_class, own_parts
from attnpred.models.base import Model

BLUR = 4  # a blurred image keeps about a fourth of its side's detail


def check(removal: Removal | None, modality: str) -> Removal:
    """The removal to use; refuses what a kind of input does not know."""
    known = ("mask", "delete") if modality == "text" else ("mask", "blur")
    if removal not in (None, *known):
        raise UserError(f"removal={removal}: not for a model that reads {modality}; use {' or '.join(known)}")
    return removal or "mask"


def remove(batch: Batch, gone: Tensor, removal: Removal, spec: InputSpec, grid: tuple[int, int] | None) -> Batch:
    """The batch without the parts `gone`, (batch, parts) bool; what is no part of an input, such as padding, stays.

    `mask` puts mask tokens, or the mean colour; `delete` closes the text up; `blur` keeps a region's rough colours.
    """
    if isinstance(batch, TextBatch):
        assert isinstance(spec, TextSpec)
        own = own_parts(batch)
        gone = gone if own is None else gone & own
        if removal == "delete":
            return _closed_up(batch, gone, spec)
        return replace(batch, tokens=batch.tokens.masked_fill(gone, spec.mask_id))
    assert isinstance(batch, ImageBatch)
    assert isinstance(spec, ImageSpec)
    assert grid is not None, "an image's parts need the grid of its regions"
    regions = gone.unflatten(1, (1, *grid)).float()
    hidden = F.interpolate(regions, batch.pixels.shape[2:], mode="nearest").bool()  # (batch, 1, height, width)
    return replace(batch, pixels=torch.where(hidden, _instead(batch.pixels, removal, spec), batch.pixels.float()))


def emptied(batch: Batch, spec: InputSpec) -> Batch:
    """The batch without any of its content."""
    shape = (len(batch), batch.tokens.shape[1]) if isinstance(batch, TextBatch) else (len(batch), 1)
    gone = torch.ones(shape, dtype=torch.bool, device=batch.ids.device)
    return remove(batch, gone, "mask", spec, (1, 1))


@torch.no_grad()
def probabilities(
    model: Model,
    batch: Batch,
    target: Tensor,  # (batch,)
    gone: Tensor,  # (times, batch, parts) bool
    removal: Removal | None,
    grid: tuple[int, int] | None,
) -> Tensor:
    """Of each example's class, with each of the sets of parts taken away: (times, batch)."""
    how = check(removal, model.spec.modality)
    found = []
    for some in gone:  # a batch at a time: no more memory than one step of training
        logits: Tensor = model(remove(batch, some, how, model.spec, grid)).logits
        found.append(of_class(logits.float().softmax(1), target))
    return torch.stack(found)


def _closed_up(batch: TextBatch, gone: Tensor, spec: TextSpec) -> TextBatch:
    """The text without those tokens; one that would be left with none of its own keeps a mask token."""
    own = batch.own()
    kept = ~gone if own is None else own & ~gone
    bare = ~kept.any(1)
    first = F.one_hot(gone.int().argmax(1), gone.shape[1]).bool() & bare[:, None]
    tokens, gone = batch.tokens.masked_fill(first, spec.mask_id), gone & ~first
    order = gone.int().argsort(dim=1, stable=True)  # what stays first, in its order
    lengths = batch.lengths - gone.sum(1)
    place = torch.arange(gone.shape[1], device=gone.device)
    tokens = torch.where(place < lengths[:, None], tokens.gather(1, order), spec.pad_id)
    return replace(batch, tokens=tokens, lengths=lengths, padded=True)


def _instead(pixels: Tensor, removal: Removal, spec: ImageSpec) -> Tensor:
    """What is seen where a region is gone, of the pixels' shape or broadcast to it."""
    if removal == "mask":
        return torch.tensor(spec.mean, device=pixels.device).view(-1, 1, 1)
    from torchvision.transforms.v2.functional import gaussian_blur

    side = min(pixels.shape[2:]) // BLUR
    blurred: Tensor = gaussian_blur(pixels.float(), [2 * side + 1, 2 * side + 1], [side / 2, side / 2])
    return blurred
