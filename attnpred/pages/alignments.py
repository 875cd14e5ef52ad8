"""Alignments drawn: which words of an input each word of an answer attended, as a picture and as a table."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from attnpred.pages.colours import shade
from attnpred.pages.pictures import BLUES, INK, MARGIN, WHITE, font_of, upright_text

CELL, LETTERS = 26, 14  # pixels
MOST_WORDS = 40  # of either side that are drawn


def matrix(words: Sequence[str], alignment: Mapping[str, Any]) -> Image.Image:
    """Rows are the answer's words, columns the input's; `alignment` holds `words` and `rows` of shares."""
    words, said = list(words)[:MOST_WORDS], list(alignment["words"])[:MOST_WORDS]
    shares = np.array([row[: len(words)] for row in alignment["rows"][:MOST_WORDS]], np.float64)
    shares = shares.reshape(len(said), len(words)).clip(0, 1)
    font = font_of(LETTERS)
    left, top = (MARGIN + 8 + round(max((font.getlength(word) for word in side), default=0)) for side in (said, words))
    size = (left + CELL * len(words) + MARGIN, top + CELL * len(said) + MARGIN)
    picture = Image.new("RGB", size, WHITE)
    if shares.size:
        cells = BLUES[(shares * 255).round().astype(np.uint8)].repeat(CELL, 0).repeat(CELL, 1)
        picture.paste(Image.fromarray(cells), (left, top))
    draw = ImageDraw.Draw(picture)
    for place, word in enumerate(said):
        draw.text((left - 8, top + CELL * place + CELL // 2), word, INK, font, anchor="rm")
    for place, word in enumerate(words):
        upright_text(picture, word, INK, font, left + CELL * place + CELL // 2, MARGIN, align="top")
    return picture


def below_one_another(pictures: Sequence[Image.Image]) -> np.ndarray:
    """One picture of several, (height, width, 3) uint8."""
    width, height = max(one.width for one in pictures), sum(one.height for one in pictures)
    whole = Image.new("RGB", (width, height), WHITE)
    top = 0
    for one in pictures:
        whole.paste(one, (0, top))
        top += one.height
    return np.asarray(whole)


def table(answer: Mapping[str, Any]) -> str:
    """An answer of `predict` that has an alignment, as a notebook shows it."""
    head = "".join(f"<th>{html.escape(word)}</th>" for word in answer["words"])
    lines = []
    for one in answer["alignment"]:
        cells = []
        for share in one["attention"]:
            colour = shade(min(share, 1.0), signed=False)
            look = f' style="background:rgb{colour}"' if colour else ""
            cells.append(f'<td title="{share:.3g}"{look}></td>')
        lines.append(f"<tr><th>{html.escape(one['word'])}</th>{''.join(cells)}</tr>")
    return f"<table><tr><td></td>{head}</tr>{''.join(lines)}</table>"
