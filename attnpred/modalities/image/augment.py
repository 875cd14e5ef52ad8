"""Changes to training images: whole batches, on the device where they are, by torch's generator and the epoch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.data_options import AugmentConfig
from attnpred.contracts import Batch
from attnpred.data.hashing import scattered
from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageSpec


class Augment:
    """What `config` switches on in training of so many epochs, in order: crop and flip, cutout, smaller size, mixing.

    Evidence moves with the pixels; cutout leaves it as it is, and mixed images have none.
    """

    def __init__(
        self, config: AugmentConfig, spec: ImageSpec, epochs: int, soften: Callable[[Any], Any] | None = None
    ) -> None:
        side = min(spec.height, spec.width)
        # reflection has a side less one pixel to show; a square of the whole image leaves nothing to see
        for name, value in (("crop", config.crop), ("cutout", config.cutout), ("small_side", config.small_side)):
            if value is not None and value >= side:
                raise UserError(f"data.augment.{name}={value}: must be below the images' {side} pixels")
        self._config = config
        self._small_epochs = int(config.small_share * epochs)
        self._mean = torch.tensor(spec.mean).round().to(torch.uint8)
        self._mix, self._soften = mixer(config), soften
        if self._mix is not None and soften is None:
            name = "mixup" if config.mixup else "cutmix"
            raise UserError(
                f"data.augment.{name}={getattr(config, name):g}: the task's targets cannot be mixed; set it to 0"
            )

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        images, targets = batch.input, batch.targets
        pixels, evidence = images.pixels, images.evidence
        if self._config.crop or self._config.flip:
            if evidence is not None:  # as one more channel it moves with the others
                pixels = torch.cat((pixels, evidence[:, None].to(pixels.dtype)), 1)
            mirrored = turn(batch.ids, epoch) if self._config.flip else None
            pixels = shift_and_flip(pixels, self._config.crop, mirrored)
            if evidence is not None:
                pixels, evidence = pixels[:, :-1], pixels[:, -1].bool()
        if self._config.cutout:
            pixels = cut_out(pixels, self._config.cutout, self._mean.to(pixels.device))
        if epoch < self._small_epochs and self._config.small_side is not None:
            pixels, evidence = shrink(pixels, evidence, self._config.small_side)
        if self._mix is not None and self._soften is not None:
            soft = self._soften(targets)
            ((name, values),) = soft.items()
            pixels, mixed = self._mix(pixels.float(), values)
            targets = {name: mixed}
            evidence = None  # two images' answer was not decided in one
        mixed_batch = batch.reading(replace(images, pixels=pixels, evidence=evidence))
        return replace(mixed_batch, targets=targets)


def turn(ids: Tensor, epoch: int) -> Tensor:
    """Whether it is an example's turn, (batch,) bool: in every other epoch, and that of half of the examples in each.

    By chance an example would show one side several times in a row. Labels may alternate from row to row, so that it is
    the rows' hashes which tell them apart.
    """
    return (scattered(ids) < 0) == (epoch % 2 == 0)


def shift_and_flip(pixels: Tensor, crop: int, mirrored: Tensor | None) -> Tensor:
    """Each image shifted by up to `crop` pixels, reflected at the border, and mirrored where (batch,) says so."""
    count, channels, height, width = pixels.shape
    device = pixels.device
    down, right = torch.randint(-crop, crop + 1, (2, count, 1), device=device)
    rows = reflected(torch.arange(height, device=device) + down, height)  # (batch, height)
    columns = reflected(torch.arange(width, device=device) + right, width)  # (batch, width)
    if mirrored is not None:
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    place = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
    return pixels.reshape(count, channels, -1).gather(2, place).view_as(pixels)


def reflected(place: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - place.abs()).abs()


def cut_out(pixels: Tensor, side: int, colour: Tensor) -> Tensor:
    """Each image with one square of `side` pixels, wholly inside it, in the given colour (a value a channel)."""
    count, _, height, width = pixels.shape
    device = pixels.device
    top = torch.randint(height - side + 1, (count, 1), device=device)
    left = torch.randint(width - side + 1, (count, 1), device=device)
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    inside_y, inside_x = (y >= top) & (y < top + side), (x >= left) & (x < left + side)
    return torch.where(inside_y[:, None, :, None] & inside_x[:, None, None, :], colour[:, None, None], pixels)


def shrink(pixels: Tensor, evidence: Tensor | None, side: int) -> tuple[Tensor, Tensor | None]:
    """Images whose smaller side is `side`, as float, with evidence wherever a pixel of it was."""
    size = [round(length * side / min(pixels.shape[2:])) for length in pixels.shape[2:]]
    pixels = F.interpolate(pixels.float(), size, mode="bilinear", antialias=True)
    if evidence is not None:
        evidence = F.adaptive_max_pool2d(evidence[:, None].float(), size)[:, 0].bool()
    return pixels, evidence


def mixer(config: AugmentConfig) -> Callable[[Tensor, Tensor], Any] | None:
    """torchvision's MixUp, CutMix, or one of both at random a batch; None where both are off.

    It takes images and their targets, (batch, numbers) float.
    """
    if not config.mixup and not config.cutmix:
        return None
    from torchvision.transforms import v2

    options: list[Any] = [v2.MixUp(alpha=config.mixup)] if config.mixup else []
    options += [v2.CutMix(alpha=config.cutmix)] if config.cutmix else []
    chosen: Callable[[Tensor, Tensor], Any] = v2.RandomChoice(options)
    return chosen
