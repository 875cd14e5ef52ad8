"""Changes to training images: whole batches, on the device where they are, by torch's generator and the epoch."""

import math
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
from attnpred.modalities.image.fit import random_boxes

ALIKE = 16  # images that share one draw of RandAugment and of jitter: one call takes a fraction of so many calls' time


class Augment:
    """The changes that `config` switches on in training of so many epochs, in the order of `__call__`.

    Evidence moves with crops and flips. RandAugment and mixing move pixels elsewhere and leave no evidence.
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
        self._recolour = recolourings(config)
        self._mix, self._soften = mixer(config), soften
        if self._mix is not None and soften is None:
            name = "mixup" if config.mixup else "cutmix"
            raise UserError(
                f"data.augment.{name}={getattr(config, name):g}: the task's targets cannot be mixed; set it to 0"
            )

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        images, targets = batch.input, batch.targets
        pixels, evidence = images.pixels, images.evidence
        moves = self._config.crop or self._config.flip or self._config.random_crop
        if moves and evidence is not None:  # as one more channel it moves with the others
            pixels = torch.cat((pixels, evidence[:, None].to(pixels.dtype)), 1)
        if self._config.random_crop:
            pixels = crop_at_random(pixels, self._config.random_crop)
        if self._config.crop or self._config.flip:
            mirrored = turn(batch.ids, epoch) if self._config.flip else None
            pixels = shift_and_flip(pixels, self._config.crop, mirrored)
        if moves and evidence is not None:
            pixels, evidence = pixels[:, :-1], pixels[:, -1] > 0
        for change in self._recolour:
            pixels = torch.cat([change(some) for some in pixels.split(ALIKE)])
        if self._config.rand_ops:
            evidence = None
        if self._config.cutout:
            pixels = cut_out(pixels, self._config.cutout, self._mean.to(pixels.device))
        if self._config.erasing:
            pixels = erase(pixels, self._config.erasing, self._mean.to(pixels.device))
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


def crop_at_random(pixels: Tensor, smallest: float) -> Tensor:
    """Of each image a part of random place, shape and area, at least the share `smallest`, at the images' full size."""
    boxes = torch.from_numpy(random_boxes(torch.rand(len(pixels), 4, dtype=torch.float64).numpy(), smallest)).float()
    left, top, right, bottom = boxes.to(pixels.device).unbind(1)
    across, down, zero = right - left, bottom - top, torch.zeros_like(left)
    # from the crop's coordinates to the image's, both of -1 to 1: (batch, 2, 3)
    place = torch.stack((across, zero, left + right - 1, zero, down, top + bottom - 1), 1).unflatten(1, (2, 3))
    grid = F.affine_grid(place, list(pixels.shape), align_corners=False)
    cropped = F.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
    return cropped.round().to(pixels.dtype)


def erase(pixels: Tensor, share: float, colour: Tensor) -> Tensor:
    """Of that share of the images a random rectangle, of 2 to 33 % of the area, in the given colour."""
    count, _, height, width = pixels.shape
    drawn = torch.rand(count, 5)
    area, shape = 0.02 + 0.31 * drawn[:, 0], torch.exp((drawn[:, 1] * 2 - 1) * math.log(3.3))
    down, across = (area * shape).sqrt().clamp(max=1) * height, (area / shape).sqrt().clamp(max=1) * width
    top, left = drawn[:, 2] * (height - down), drawn[:, 3] * (width - across)
    down = torch.where(drawn[:, 4] < share, down, 0.0)  # of the others nothing
    y, x = torch.arange(height), torch.arange(width)
    inside_y = (y >= top[:, None]) & (y < (top + down)[:, None])  # (batch, height)
    inside_x = (x >= left[:, None]) & (x < (left + across)[:, None])
    gone = (inside_y[:, None, :, None] & inside_x[:, None, None, :]).to(pixels.device)
    return torch.where(gone, colour[:, None, None], pixels)


def recolourings(config: AugmentConfig) -> list[Callable[[Tensor], Tensor]]:
    """torchvision's RandAugment and jitter of colours, those that are switched on; each call makes one draw."""
    if not config.rand_ops and not config.jitter:
        return []
    from torchvision.transforms import v2

    changes: list[Callable[[Tensor], Tensor]] = []
    if config.rand_ops:
        changes.append(v2.RandAugment(config.rand_ops, config.rand_magnitude, fill=128))
    if config.jitter:
        changes.append(v2.ColorJitter(config.jitter, config.jitter, config.jitter, config.jitter / 4))
    return changes


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
