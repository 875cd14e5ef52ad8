"""What can be wrong with a picture, in five severities: noise, blur, a covered part, another place."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from attnpred.modalities.image.batch import ImageInput

NOISE = (8.0, 16.0, 32.0, 48.0, 64.0)  # deviation, in units of 0 to 255
BLUR = (0.5, 0.75, 1.0, 1.5, 2.0)  # deviation, in 32nds of the smaller side
LEAST_BLUR = 0.3, 0.1  # deviation in pixels, and more of it with each severity: less would change nothing
COVERED = (0.05, 0.1, 0.2, 0.3, 0.4)  # share of the area
MOVED = (0.03, 0.06, 0.1, 0.15, 0.2)  # share of each side, at most


def noise(found: ImageInput, reader: Any, severity: int, random: Generator) -> ImageInput:
    drawn = torch.randn(found.pixels.shape, generator=random)
    return _with(found, found.pixels.float() + NOISE[severity - 1] * drawn)


def blur(found: ImageInput, reader: Any, severity: int, random: Generator) -> ImageInput:
    """Gaussian, the same in both directions."""
    pixels = found.pixels.float()
    deviation = max(BLUR[severity - 1] * min(pixels.shape[2:]) / 32, LEAST_BLUR[0] + LEAST_BLUR[1] * severity)
    reach = max(int(3 * deviation + 0.5), 1)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / deviation) ** 2)
    kernel = (kernel / kernel.sum()).expand(pixels.shape[1], 1, -1)  # (channels, 1, 2 reach + 1)
    channels = pixels.shape[1]
    padded = F.pad(pixels, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, kernel[:, :, None], groups=channels)
    return _with(found, F.conv2d(across, kernel[..., None], groups=channels))


def occlusion(found: ImageInput, reader: Any, severity: int, random: Generator) -> ImageInput:
    """A square of the training images' mean colour, anywhere inside."""
    count, _, height, width = found.pixels.shape
    side = COVERED[severity - 1] ** 0.5
    down, across = max(round(side * height), 1), max(round(side * width), 1)
    top = torch.randint(height - down + 1, (count, 1), generator=random)
    left = torch.randint(width - across + 1, (count, 1), generator=random)
    y, x = torch.arange(height), torch.arange(width)
    rows, columns = (y >= top) & (y < top + down), (x >= left) & (x < left + across)
    covered = (rows[:, :, None] & columns[:, None, :])[:, None]  # (batch, 1, height, width)
    mean = torch.tensor(reader.spec.mean).view(-1, 1, 1)
    return _with(found, torch.where(covered, mean, found.pixels.float()))


def shift(found: ImageInput, reader: Any, severity: int, random: Generator) -> ImageInput:
    """Each picture moved up to so far, its border carried on."""
    count, channels, height, width = found.pixels.shape
    most = MOVED[severity - 1]
    down, across = (
        torch.randint(-max(round(most * side), 1), max(round(most * side), 1) + 1, (count, 1), generator=random)
        for side in (height, width)
    )
    rows = (torch.arange(height) - down).clamp(0, height - 1)  # (batch, height)
    columns = (torch.arange(width) - across).clamp(0, width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
    return _with(found, found.pixels.float().reshape(count, channels, -1).gather(2, places).view_as(found.pixels))


def _with(found: ImageInput, pixels: Tensor) -> ImageInput:
    return replace(found, pixels=pixels.round().clamp(0, 255).to(torch.uint8), evidence=None)


CORRUPTIONS: Mapping[str, Callable[[ImageInput, Any, int, Generator], ImageInput]] = {
    "noise": noise,
    "blur": blur,
    "occlusion": occlusion,
    "shift": shift,
}
