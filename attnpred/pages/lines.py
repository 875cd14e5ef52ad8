"""Pictures of series, (height, width, 3) uint8: lines, the attention under them, and forecasts beside the truth."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from attnpred.pages.colours import ground
from attnpred.pages.pictures import GREY, INK, MARGIN, WHITE, Caption, Color, font_of, say, scaled

WIDTH, STRIP = 640, 44  # of a picture, and the height of a variable
MOST_STRIPS = 16  # of more variables a map of their values is drawn
BLUE, GREEN, BAND = (33, 113, 181), (20, 140, 90), (198, 219, 239)
FINER = 2  # lines are drawn so many times larger, and brought down, so that they are smooth


@dataclass(frozen=True)
class Told:
    """One variable's history, and the forecast behind it."""

    name: str
    history: np.ndarray  # (moments,)
    forecast: np.ndarray  # (steps,)
    truth: np.ndarray | None = None  # (steps,)
    bounds: np.ndarray | None = None  # (2, steps): the interval's
    heat: np.ndarray | None = None  # (blocks of the history,)


def series(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(variables, moments): a strip a variable, one under the other, each in its own range."""
    if len(values) > MOST_STRIPS:
        return _as_map(values)
    picture = Image.new("RGB", (WIDTH * FINER, STRIP * len(values) * FINER), WHITE)
    draw = ImageDraw.Draw(picture)
    for place, row in enumerate(values):
        top = place * STRIP * FINER
        draw.line((0, top, WIDTH * FINER, top), (225, 225, 230), FINER)
        _line(draw, row, (0, top, WIDTH * FINER, top + STRIP * FINER), _range(row), BLUE)
    small = picture.resize((WIDTH, STRIP * len(values)), Image.Resampling.BOX)
    draw, font = ImageDraw.Draw(small), font_of(11)
    for place, name in enumerate(names):
        draw.text((4, place * STRIP + 3), name[:40], GREY, font, anchor="lt")
    return np.asarray(small)


def captioned(pictures: Sequence[np.ndarray], heats: Sequence[np.ndarray], captions: Sequence[Caption]) -> np.ndarray:
    """Each series under its caption, glowing where the attention lies: `heats` are (rows, blocks) each."""
    font, y = font_of(14), MARGIN
    height = MARGIN + sum(len(one) + 24 + MARGIN for one in pictures)
    whole = Image.new("RGB", (WIDTH + 2 * MARGIN, height), WHITE)
    draw = ImageDraw.Draw(whole)
    for pixels_, heat, caption in zip(pictures, heats, captions, strict=True):
        draw.text((MARGIN, y), say(caption, font, WIDTH), caption.color, font, anchor="lt")
        whole.paste(_glowing(pixels_, heat), (MARGIN, y + 22))
        y += len(pixels_) + 24 + MARGIN
    return np.asarray(whole)


def forecasts(told: Sequence[Told]) -> np.ndarray:
    """A strip each: the history with its attention under it, then the forecast (blue), its interval and the truth."""
    tall = 120
    picture = Image.new("RGB", ((WIDTH + 2 * MARGIN) * FINER, (MARGIN + (tall + 30) * len(told)) * FINER), WHITE)
    draw = ImageDraw.Draw(picture)
    for place, one in enumerate(told):
        top = (MARGIN + place * (tall + 30) + 18) * FINER
        _told(draw, one, (MARGIN * FINER, top, (MARGIN + WIDTH) * FINER, top + (tall - 10) * FINER))
    small = picture.resize((picture.width // FINER, picture.height // FINER), Image.Resampling.BOX)
    draw, font = ImageDraw.Draw(small), font_of(13)
    for place, one in enumerate(told):
        words = f"{one.name}: forecast in blue" + (", truth in green" if one.truth is not None else "")
        draw.text((MARGIN, MARGIN + place * (tall + 30)), words, INK, font, anchor="lt")
    return np.asarray(small)


def _told(draw: ImageDraw.ImageDraw, one: Told, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    moments, steps = len(one.history), len(one.forecast)
    cut = left + (right - left) * moments // (moments + steps)
    parts = [one.history, one.forecast, *(p for p in (one.truth, one.bounds) if p is not None)]
    extent = _range(np.concatenate([np.ravel(part) for part in parts]))
    if one.heat is not None:
        edges = np.linspace(left, cut, len(one.heat) + 1)
        for begin, end, colour in zip(edges[:-1], edges[1:], ground(scaled(one.heat)).tolist(), strict=True):
            draw.rectangle((begin, bottom - 8 * FINER, end, bottom), tuple(colour))
        bottom -= 12 * FINER
    ahead = (cut, top, right, bottom)
    if one.bounds is not None:
        low, high = (_points(row, ahead, extent) for row in one.bounds)
        draw.polygon([*low, *high[::-1]], BAND)
    _line(draw, one.history, (left, top, cut, bottom), extent, GREY)
    if one.truth is not None:
        _line(draw, one.truth, ahead, extent, GREEN)
    _line(draw, one.forecast, ahead, extent, BLUE)
    draw.line((cut, top, cut, bottom), (200, 200, 205), FINER)


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _points(
    values: np.ndarray, box: tuple[int, int, int, int], extent: tuple[float, float]
) -> list[tuple[float, float]]:
    left, top, right, bottom = box
    low, high = extent
    across = np.linspace(left, right, len(values)) if len(values) > 1 else np.array([(left + right) / 2])
    up = np.nan_to_num((values - low) / (high - low), nan=0.5).clip(-1, 2)
    edge = 3 * FINER
    down = bottom - edge - up * (bottom - top - 2 * edge)
    return list(zip(across.tolist(), down.tolist(), strict=True))


def _line(
    draw: ImageDraw.ImageDraw,
    values: np.ndarray,
    box: tuple[int, int, int, int],
    extent: tuple[float, float],
    color: Color,
) -> None:
    points = _points(values, box, extent)
    draw.line(points if len(points) > 1 else [*points, *points], color, 2 * FINER - 1)


def _as_map(values: np.ndarray) -> np.ndarray:
    """Many variables, such as a spectrogram's, as shades."""
    low, high = _range(values)
    grey = ((np.nan_to_num(values, nan=low) - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    size = (WIDTH, max(128, min(256, 4 * len(values))))
    return np.asarray(Image.fromarray(255 - grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"))


def _glowing(picture: np.ndarray, heat: np.ndarray) -> Image.Image:
    """The picture on a ground that has the colours of importance where the attention lies."""
    size = (picture.shape[1], picture.shape[0])
    below = np.asarray(Image.fromarray(ground(scaled(heat))).resize(size, Image.Resampling.NEAREST), np.float32)
    return Image.fromarray((below * (picture.astype(np.float32) / 255)).round().astype(np.uint8))


def data_url(picture: np.ndarray) -> str:
    """As an image that a page holds in itself."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def pixels(url: str) -> np.ndarray:
    """What `data_url` was made of."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))
