"""Images of any size become images of one size, by cropping, padding or stretching."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAYS = ("crop", "pad", "stretch")
Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
NARROWEST, WIDEST = 3 / 4, 4 / 3  # width by height of a random crop


@dataclass(frozen=True)
class Fit:
    """The size that images are brought to, and how."""

    height: int
    width: int
    way: str = "stretch"
    share: float = 1.0  # of the largest crop's sides that is kept

    def options(self) -> dict[str, Any]:
        """Beside the size, which the specification has."""
        return {"fit": self.way, "crop_share": self.share}

    def crop(self, width: int, height: int) -> Box:
        """The part of an image of this size that is shown."""
        if self.way != "crop":
            return 0.0, 0.0, float(width), float(height)
        scale = min(width / self.width, height / self.height) * self.share
        across, down = self.width * scale, self.height * scale
        left, top = (width - across) / 2, (height - down) / 2
        return left, top, left + across, top + down

    def needed(self, width: int, height: int, box: Box | None = None) -> tuple[int, int]:
        """The least size that an image of this size can be decoded to and lose nothing of what is shown."""
        left, top, right, bottom = box or self.crop(width, height)
        scale = max(self.width / max(right - left, 1), self.height / max(bottom - top, 1))
        return math.ceil(width * scale), math.ceil(height * scale)

    def apply(self, pixels: Pixels, box: Box | None = None) -> Pixels:
        """(channels, height, width) at the size, of the `box` of it where one is given."""
        _, height, width = pixels.shape
        if box is None and self.way == "pad":
            return self._padded(pixels)
        left, top, right, bottom = map(round, box or self.crop(width, height))
        return _resized(pixels[:, top : max(bottom, top + 1), left : max(right, left + 1)], self.height, self.width)

    def _padded(self, pixels: Pixels) -> Pixels:
        channels, height, width = pixels.shape
        scale = min(self.height / height, self.width / width)
        down, across = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (self.height - down) // 2, (self.width - across) // 2
        whole = np.zeros((channels, self.height, self.width), np.uint8)
        whole[:, top : top + down, left : left + across] = _resized(pixels, down, across)
        return whole


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """By torch, which takes half of Pillow's time."""
    if pixels.shape[1:] == (height, width):
        return pixels
    import torch
    from torch.nn.functional import interpolate

    given = torch.from_numpy(pixels if pixels.flags.writeable else np.array(pixels))[None]
    return interpolate(given, (height, width), mode="bilinear", antialias=True)[0].numpy()


def random_boxes(drawn: NDArray[np.float64], smallest: float) -> NDArray[np.float64]:
    """Crops of at least the share `smallest` of an image's area: (images, 4) left, top, right, bottom, of 0 to 1.

    `drawn` holds four random numbers of 0 to 1 for each: for area, shape, and the two places.
    """
    area = smallest + (1 - smallest) * drawn[:, 0]
    shape = np.exp(math.log(NARROWEST) + (math.log(WIDEST) - math.log(NARROWEST)) * drawn[:, 1])
    across, down = np.minimum(np.sqrt(area * shape), 1), np.minimum(np.sqrt(area / shape), 1)
    left, top = (1 - across) * drawn[:, 2], (1 - down) * drawn[:, 3]
    return np.stack((left, top, left + across, top + down), 1)


def random_crops(rows: NDArray[Any], seed: int, epoch: int, smallest: float) -> NDArray[np.float64]:
    """Of each row its random crop, which depends on nothing but these numbers; see `random_boxes`."""
    return random_boxes(np.stack([np.random.default_rng((seed, epoch, int(row))).random(4) for row in rows]), smallest)
