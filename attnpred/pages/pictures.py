"""Pictures for TensorBoard, (height, width, 3) uint8: the confusion matrix, and examples with their attention."""

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from attnpred.pages.colours import GLOW, Color, shade

Font = ImageFont.FreeTypeFont

WHITE, INK, GREY, RED = (255, 255, 255), (35, 35, 40), (120, 120, 128), (200, 30, 40)
MARGIN = 16
MOST_WORDS = 60


def _ramp(*colors: Color) -> np.ndarray:
    """A map of 256 colours through the given ones, (256, 3) uint8."""
    at = np.linspace(0, 255, len(colors))
    channels = [np.interp(np.arange(256), at, channel) for channel in zip(*colors, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


BLUES = _ramp((247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))


class Caption(NamedTuple):
    """What is said of an example; `true` is None where nobody knows, `confidence` where an answer has none."""

    true: str | None
    predicted: str
    confidence: float | None
    wrong: bool

    @property
    def color(self) -> Color:
        return RED if self.wrong else INK


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Rows are true classes, columns predicted ones.

    A cell is shaded by the square root of its share of the row, so that rare confusions show beside a dark diagonal.
    """
    counts = np.asarray(counts)
    n = len(classes)
    cell = max(1, min(128, 900 // n))
    gap = 1 if cell >= 12 else 0
    size = max(11, min(30, cell // 3))  # of letters: read in a picture of a third of the size, where classes are few
    font = font_of(size)
    every = -(-(size + 4) // cell)  # of many classes only so many are named that names do not overlap
    names = {i: _shorten(classes[i], font, 11 * size) for i in range(0, n, every)}
    longest = round(max(font.getlength(name) for name in names.values()))
    upright = longest > cell - 6
    line = size + 13
    left = MARGIN + line + longest + 8
    bottom = (longest if upright else size + 4) + 8 + line + MARGIN
    picture = Image.new("RGB", (left + n * cell + MARGIN, MARGIN + n * cell + bottom), WHITE)
    draw = ImageDraw.Draw(picture)

    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shades = BLUES[(np.sqrt(share) * 255).round().astype(np.uint8)]  # (n, n, 3)
    cells = shades.repeat(cell, 0).repeat(cell, 1)
    if gap:
        cells[cell - 1 :: cell], cells[:, cell - 1 :: cell] = 255, 255
    picture.paste(Image.fromarray(cells), (left, MARGIN))
    draw.rectangle((left - 1, MARGIN - 1, left + n * cell - gap, MARGIN + n * cell - gap), outline=(205, 205, 210))
    if n <= 25:
        _numbers(draw, counts, shades, (left, MARGIN), cell)

    for i, name in names.items():
        middle = i * cell + cell // 2
        draw.text((left - 8, MARGIN + middle), name, INK, font, anchor="rm")
        under = MARGIN + n * cell + 8
        if upright:
            upright_text(picture, name, INK, font, left + middle, under, align="top")
        else:
            draw.text((left + middle, under), name, INK, font, anchor="mt")
    title = font_of(size + 2)
    draw.text((left + n * cell // 2, picture.height - MARGIN), "predicted", GREY, title, anchor="mb")
    upright_text(picture, "true", GREY, title, MARGIN + size // 2, MARGIN + n * cell // 2, align="middle")
    return np.asarray(picture)


def _numbers(
    draw: ImageDraw.ImageDraw, counts: np.ndarray, shades: np.ndarray, corner: tuple[int, int], cell: int
) -> None:
    widest = max((f"{count:,}" for count in counts.flat), key=len)
    sizes = [size for size in range(max(14, 2 * cell // 5), 7, -1) if font_of(size).getlength(widest) <= cell - 6]
    font = font_of(sizes[0] if sizes else 8)
    for row, column in np.ndindex(*counts.shape):
        dark = shades[row, column] @ (0.299, 0.587, 0.114) < 140
        at = corner[0] + column * cell + cell // 2, corner[1] + row * cell + cell // 2
        color = WHITE if dark else INK if counts[row, column] else (185, 190, 198)
        draw.text(at, f"{counts[row, column]:,}", color, font, anchor="mm")


def image_grid(
    pixels: np.ndarray, importance: np.ndarray, grid: tuple[int, int], captions: Sequence[Caption]
) -> np.ndarray:
    """Each image beside itself under a heat map of its attention.

    `pixels` (n, channels, height, width) uint8; `importance` (n, rows * columns), the regions of `grid` in reading
    order, each image scaled to its own greatest; a wrong prediction's caption is red.
    """
    height, width = pixels.shape[2:]
    side = max(height, width)
    scale = max(1, round(128 / side)) if side <= 224 else 224 / side
    size = round(width * scale), round(height * scale)
    block = 2 * size[0] + 3, size[1] + 22
    across = max(1, min(len(pixels), 1100 // (block[0] + MARGIN)))
    down = -(-len(pixels) // across)
    extent = MARGIN + across * (block[0] + MARGIN), MARGIN + down * (block[1] + MARGIN)
    picture = Image.new("RGB", extent, WHITE)
    draw, font = ImageDraw.Draw(picture), font_of(13)
    for i, (image, weights, caption) in enumerate(zip(pixels, importance, captions, strict=True)):
        x, y = MARGIN + i % across * (block[0] + MARGIN), MARGIN + i // across * (block[1] + MARGIN)
        color_image = np.broadcast_to(image, (3, height, width)) if len(image) == 1 else image[:3]
        enlarged = Image.fromarray(np.ascontiguousarray(color_image.transpose(1, 2, 0))).resize(
            size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
        )
        picture.paste(enlarged, (x, y))
        picture.paste(_heat(enlarged, weights.reshape(grid)), (x + size[0] + 3, y))
        draw.text((x, y + size[1] + 6), say(caption, font, block[0]), caption.color, font, anchor="lt")
    return np.asarray(picture)


def _heat(image: Image.Image, weights: np.ndarray) -> Image.Image:
    """The image in grey, glowing where the attention lies."""
    share = scaled(weights)
    signed = bool((share < 0).any())
    small = Image.fromarray(share.astype(np.float32))
    heat = np.asarray(small.resize(image.size, Image.Resampling.BILINEAR))[..., None].clip(-1, 1)  # (height, width, 1)
    grey = 0.75 * np.asarray(image.convert("L"), dtype=np.float32)[..., None]
    color = np.where(heat < 0, GLOW["against"], GLOW["for" if signed else "importance"])
    opacity = 0.85 * np.abs(heat) ** 0.75  # where there is no attention, the picture itself stays visible
    return Image.fromarray((grey + opacity * (color - grey)).round().astype(np.uint8))


def text_examples(
    words: Sequence[Sequence[str]], importance: Sequence[Sequence[float]], captions: Sequence[Caption], width: int = 900
) -> np.ndarray:
    """Each text under its caption, its words shaded by their attention, scaled to the text's greatest.

    Of a long text the stretch that holds the strongest word and most of the attention is shown.
    """
    font, bold = font_of(15), font_of(14)
    line, inner = 25, width - 2 * MARGIN
    marks = []  # (x, y, word, shade)
    heads = []  # (y, caption)
    y = MARGIN
    for text, weights, caption in zip(words, importance, captions, strict=True):
        heads.append((y, caption))
        y += 24
        x = 0
        share = scaled(np.asarray(weights, dtype=np.float64))
        signed = bool((share < 0).any())
        for word, strength in _strongest(text, share):
            shown = _shorten(word, font, inner - 8)
            advance = round(font.getlength(shown)) + 8
            if x and x + advance > inner:
                x, y = 0, y + line
            marks.append((MARGIN + x, y, advance, shown, shade(strength, signed=signed)))
            x += advance + 1
        y += line + MARGIN
    picture = Image.new("RGB", (width, y), WHITE)
    draw = ImageDraw.Draw(picture)
    for top, caption in heads:
        draw.line((MARGIN, top - MARGIN // 2, width - MARGIN, top - MARGIN // 2), (230, 230, 234))
        draw.text((MARGIN + 4, top + 3), say(caption, bold, inner), caption.color, bold, anchor="lt")
    for x, top, advance, shown, colour in marks:
        if colour:
            draw.rounded_rectangle((x, top, x + advance - 1, top + line - 4), 4, colour)
        draw.text((x + 4, top + 16), shown, INK, font, anchor="ls")
    return np.asarray(picture)


def _strongest(words: Sequence[str], strength: np.ndarray) -> list[tuple[str, float]]:
    """At most MOST_WORDS neighbours around the strongest word, with an ellipsis where more were."""
    pairs = list(zip(words, strength.tolist(), strict=True))
    if len(pairs) <= MOST_WORDS:
        return pairs
    strength = np.abs(strength)
    sums = np.convolve(strength, np.ones(MOST_WORDS), mode="valid")  # of every stretch, by its start
    peak = int(strength.argmax())
    first = max(0, peak - MOST_WORDS + 1)
    start = first + int(sums[first : peak + 1].argmax())
    end = start + MOST_WORDS
    return [("…", 0.0)] * (start > 0) + pairs[start:end] + [("…", 0.0)] * (end < len(pairs))


def scaled(weights: np.ndarray) -> np.ndarray:
    """To 1 or -1 at the greatest; what a diverged model left without a value counts as 0."""
    finite = np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0)
    top = np.abs(finite).max(initial=0.0)
    return finite / top if top > 0 else finite


def say(caption: Caption, font: Font, width: int) -> str:
    """`true → predicted 0.97`, the names shortened where they must be."""
    names = [caption.predicted] if caption.true is None else [caption.true, caption.predicted]
    arrow = f" {_drawable('→', font)} "
    certainty = "" if caption.confidence is None else f" {caption.confidence:.2f}"
    room = width - font.getlength(certainty) - font.getlength(arrow) * (len(names) - 1)
    fitting = [name for name in names if font.getlength(_drawable(name, font)) <= room / len(names)]
    spared = sum(room / len(names) - font.getlength(_drawable(name, font)) for name in fitting)
    return arrow.join(_shorten(name, font, room / len(names) + spared) for name in names) + certainty


def _shorten(text: str, font: Font, width: float) -> str:
    text = _drawable(text, font)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def font_of(size: int) -> Font:
    """The font that comes with Pillow knows ASCII; one that is often installed knows most alphabets."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size * 0.93)
    except OSError:
        return cast(Font, ImageFont.load_default(size))


def _drawable(text: str, font: Font) -> str:
    """The text on one line, in characters that the font has: `é` may become `e`, and what has no kin a box."""
    return "".join(_kin(character, font) for character in " ".join(text[:200].split()))


@cache
def _kin(character: str, font: Font) -> str:
    if not character.isprintable():
        return "?"
    if _has(character, font):
        return character
    spelled = {"→": "->", "–": "-", "—": "-", "−": "-", "ß": "ss", "€": "EUR", "…": "..."}
    plain = spelled.get(character) or unicodedata.normalize("NFKD", character)[0]
    return plain if all(_has(c, font) for c in plain) else character


def _has(character: str, font: Font) -> bool:
    shape, missing = font.getmask(character), font.getmask("\U0010ffff")
    return shape.size != missing.size or bytes(shape) != bytes(missing)


def upright_text(picture: Image.Image, text: str, color: Color, font: Font, x: int, y: int, *, align: str) -> None:
    """Text that reads upwards, centred on column x, and starting or centred at row y."""
    mask = Image.new("L", (math.ceil(font.getlength(text)) + 2, sum(font.getmetrics())))
    ImageDraw.Draw(mask).text((1, 0), text, 255, font)
    mask = mask.rotate(90, expand=True)
    place = x - mask.width // 2, y - (mask.height // 2 if align == "middle" else 0)
    picture.paste(color, (*place, place[0] + mask.width, place[1] + mask.height), mask)
