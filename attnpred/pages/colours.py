"""The colours of importance, those of every page: purple without a sign, blue for the answer, orange against it."""

import re
from functools import cache
from typing import Literal

import numpy as np

from attnpred.pages.page import assets

Color = tuple[int, int, int]
Hue = Literal["importance", "for", "against"]

LEVELS = 8
# over images, where they fade into what is below
GLOW: dict[Hue, Color] = {"importance": (168, 85, 247), "for": (37, 140, 255), "against": (255, 120, 20)}


def hue_of(value: float, *, signed: bool) -> Hue:
    if not signed:
        return "importance"
    return "against" if value < 0 else "for"


def shade(strength: float, *, signed: bool) -> Color | None:
    """Under a word in dark ink, for a strength between -1 and 1; None where it is next to nothing."""
    level = round(abs(strength) * LEVELS)
    return _shades()[f"{hue_of(strength, signed=signed)}-{level}"] if level else None


def ground(shares: np.ndarray) -> np.ndarray:
    """The same colours without steps, for shares between -1 and 1; signed where some are negative: (..., 3) uint8."""
    signed = bool((shares < 0).any())
    places = (np.abs(shares) * 255).round().astype(np.uint8)
    colours = _ramp("for" if signed else "importance")[places]
    return np.where((shares < 0)[..., None], _ramp("against")[places], colours)


@cache
def _ramp(hue: Hue) -> np.ndarray:
    """White, and then the shades of a hue, as 256 colours: (256, 3) uint8."""
    steps = [(255, 255, 255), *(_shades()[f"{hue}-{level}"] for level in range(1, LEVELS + 1))]
    at = np.linspace(0, 255, len(steps))
    channels = [np.interp(np.arange(256), at, channel) for channel in zip(*steps, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


@cache
def _shades() -> dict[str, Color]:
    """The light theme's, by their names in the style sheet."""
    found = re.findall(r"--([a-z]+-\d): light-dark\(#([0-9a-f]{6})", assets("attnpred.pages", "colours.css"))
    return {name: (int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for name, code in found}
