"""Images in a batch, and what a model must know of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Grid, Input, InputSpec, numbered

BLUR = 4  # a blurred image keeps about a fourth of its side's detail
EVIDENT = 0.25  # share of a region's pixels that must be evidence for the region to be


@dataclass(frozen=True, kw_only=True)
class ImageSpec(InputSpec):
    removals: ClassVar[tuple[str, ...]] = ("mask", "blur")

    modality: str = "image"
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]  # a channel, in units of 0 to 255, of the training pixels
    std: tuple[float, ...]

    def check(self) -> None:
        if self.channels not in (1, 3) or min(self.height, self.width) < 1:
            raise ValueError("its images have no such size")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("mean and std need a number a channel")


@dataclass(frozen=True, kw_only=True)
class ImageInput(Input):
    """Pixels as stored, 0 to 255; the model normalises them."""

    company: ClassVar[int] = 3

    pixels: Tensor  # (batch, channels, height, width) uint8, or float after mixing
    hidden: Tensor | None = None  # (batch, parts) bool: regions that were taken out of sight, to be found

    def __len__(self) -> int:
        return len(self.pixels)

    def own(self) -> None:
        return None

    def answered(self) -> Tensor | None:
        return None if self.hidden is None else numbered(self.hidden)

    def patches(self, cut: Any) -> Tensor:
        """(batch, parts, numbers): what each region holds, standardised; `cut` tells side, mean and deviation."""
        mean, deviation = (torch.tensor(v, device=self.pixels.device)[:, None, None] for v in (cut.mean, cut.deviation))
        even = (self.pixels.float() - mean) / deviation
        return F.pixel_unshuffle(even, cut.patch).flatten(2).transpose(1, 2)

    def parts(self, grid: Grid) -> int:
        assert grid is not None, "an image's parts need the grid of its regions"
        return grid[0] * grid[1]

    def evidence_on(self, grid: Grid) -> Tensor | None:
        """Regions of which a quarter or more is evidence; where a small box fills none so far, the fullest one."""
        if self.evidence is None:
            return None
        assert grid is not None, "an image's parts need the grid of its regions"
        cells = F.adaptive_avg_pool2d(self.evidence.float()[:, None], grid).flatten(1)
        most = cells == cells.max(1, keepdim=True).values
        return ((cells >= EVIDENT) | most) & (cells > 0)

    def described(self) -> str:
        height, width = self.pixels.shape[2:]
        return f"{len(self)} images of {height}x{width} pixels"

    def mirrored(self) -> Self:
        evidence = None if self.evidence is None else self.evidence.flip(2)
        return replace(self, pixels=self.pixels.flip(3), evidence=evidence)

    def statistics(self, reader: Any) -> dict[str, Tensor]:
        """Of the pixels, 0 to 255: how bright, how far apart, how colourful, and how sharp."""
        pixels = self.pixels.float()
        steps = [pixels.diff(dim=axis).abs().flatten(1).mean(1) for axis in (2, 3)]
        return {
            "brightness": pixels.flatten(1).mean(1),
            "contrast": pixels.flatten(1).std(1),
            "colour": (pixels.amax(1) - pixels.amin(1)).flatten(1).mean(1),
            "sharpness": torch.stack(steps).nan_to_num().mean(0),
        }

    def without(self, gone: Tensor, how: str, spec: ImageSpec, grid: Grid) -> Self:
        """`mask` puts the mean colour; `blur` keeps a region's rough colours."""
        assert grid is not None, "an image's parts need the grid of its regions"
        regions = gone.unflatten(1, (1, *grid)).float()
        hidden = F.interpolate(regions, self.pixels.shape[2:], mode="nearest").bool()  # (batch, 1, height, width)
        return replace(self, pixels=torch.where(hidden, self._instead(how, spec), self.pixels.float()))

    def among(self, others: Sequence[Self], turns: Tensor, spec: ImageSpec) -> Self:
        """Four images in two rows, each at half its side."""
        height, width = self.pixels.shape[2:]
        halves = [F.adaptive_avg_pool2d(one.pixels.float(), (height // 2, width // 2)) for one in (self, *others)]
        order = (torch.arange(4, device=turns.device) - turns[:, None]) % 4  # (batch, 4): who stands at each place
        stacked = torch.stack(halves, dim=1)  # (batch, 4, channels, rows, columns)
        placed = stacked.gather(1, order[:, :, None, None, None].expand_as(stacked))
        rows = [torch.cat(list(placed[:, start : start + 2].unbind(1)), dim=3) for start in (0, 2)]
        whole = F.pad(torch.cat(rows, dim=2), (0, width % 2, 0, height % 2), mode="replicate")
        tiles = (order == 0).view(-1, 2, 2).repeat_interleave(height // 2, 1).repeat_interleave(width // 2, 2)
        return replace(self, pixels=whole, evidence=F.pad(tiles, (0, width % 2, 0, height % 2)))

    def _instead(self, how: str, spec: ImageSpec) -> Tensor:
        """What is seen where a region is gone, of the pixels' shape or broadcast to it."""
        if how == "mask":
            return torch.tensor(spec.mean, device=self.pixels.device).view(-1, 1, 1)
        from torchvision.transforms.v2.functional import gaussian_blur

        side = min(self.pixels.shape[2:]) // BLUR
        size, deviation = 2 * side + 1, side / 2
        across: Tensor = gaussian_blur(self.pixels.float(), [size, 1], [deviation, deviation])
        blurred: Tensor = gaussian_blur(across, [1, size], [deviation, deviation])  # apart, they take a fraction
        return blurred
