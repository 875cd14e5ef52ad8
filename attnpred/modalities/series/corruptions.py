"""What can be wrong with a series, in five severities: noise, blur, a gap, another level."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator

from attnpred.modalities.series.batch import SeriesInput

NOISE = (0.05, 0.1, 0.2, 0.4, 0.8)  # in deviations of the train part
BLUR = (3, 5, 9, 17, 33)  # moments that one is the mean of
GAP = (0.05, 0.1, 0.2, 0.3, 0.4)  # share of the moments
LEVEL = (0.1, 0.2, 0.4, 0.8, 1.6)  # deviations of the train part, up or down


def noise(found: SeriesInput, reader: Any, severity: int, random: Generator) -> SeriesInput:
    drawn = torch.randn(found.values.shape, generator=random)
    return replace(found, values=found.values + NOISE[severity - 1] * drawn)


def blur(found: SeriesInput, reader: Any, severity: int, random: Generator) -> SeriesInput:
    """A moving mean."""
    size = BLUR[severity - 1]
    padded = F.pad(found.values, (size // 2, size // 2), mode="replicate")
    return replace(found, values=F.avg_pool1d(padded, size, stride=1))


def occlusion(found: SeriesInput, reader: Any, severity: int, random: Generator) -> SeriesInput:
    """A gap anywhere, in which each variable keeps the value before it, or else the mean."""
    values = found.values
    count, _, moments = values.shape
    length = max(round(GAP[severity - 1] * moments), 1)
    start = torch.randint(moments - length + 1, (count, 1), generator=random)
    place = torch.arange(moments).expand(count, -1)
    gone = ((place >= start) & (place < start + length))[:, None]  # (batch, 1, moments)
    before = values.gather(2, (start - 1).clamp(min=0)[:, None].expand(-1, values.shape[1], 1))
    kept = torch.where((start > 0)[:, None], before, torch.zeros_like(before))
    return replace(found, values=torch.where(gone, kept, values))


def shift(found: SeriesInput, reader: Any, severity: int, random: Generator) -> SeriesInput:
    """All values higher or lower, each variable by itself."""
    count, variables, _ = found.values.shape
    side = 2.0 * torch.randint(2, (count, variables, 1), generator=random) - 1
    return replace(found, values=found.values + LEVEL[severity - 1] * side)


CORRUPTIONS: Mapping[str, Callable[[SeriesInput, Any, int, Generator], SeriesInput]] = {
    "noise": noise,
    "blur": blur,
    "occlusion": occlusion,
    "shift": shift,
}
