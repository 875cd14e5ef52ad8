"""Coloured shapes, and questions about one of them or about two (after Sort-of-CLEVR): made up, any number.

An image holds five shapes, no two of one colour. A question names one by its colour. It asks what shape it is or where
it lies, which is there to see. Or it asks what shape lies nearest to it or farthest from it: then others are compared.
Evidence are the boxes of the shapes that are asked about, and the word that names the colour.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 250  # rows made at once
SIDE, CELL, SIZE, COUNT = 40, 8, 6, 5  # pixels, but for how many shapes there are
APART = 3.0  # pixels by which the nearest or farthest shape must be so
CLASSES = ("circle", "no", "square", "triangle", "yes")
SHAPES = ("circle", "square", "triangle")
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (225, 210, 60),
    "purple": (150, 60, 190),
    "white": (235, 235, 235),
}
ABOUT_ONE = {
    "shape": ("what shape is the {} one", "which shape does the {} one have"),
    "left": ("is the {} one on the left", "does the {} one lie on the left"),
    "top": ("is the {} one at the top", "does the {} one lie at the top"),
}
ABOUT_TWO = {
    "nearest": ("what shape is nearest to the {} one", "which shape is closest to the {} one"),
    "farthest": ("what shape is farthest from the {} one", "which shape is most distant from the {} one"),
}


def _masks() -> NDArray[np.bool_]:
    """(shapes, size, size)"""
    y, x = np.mgrid[:SIZE, :SIZE]
    middle = (SIZE - 1) / 2
    circle = (y - middle) ** 2 + (x - middle) ** 2 <= (SIZE / 2) ** 2
    square = np.ones((SIZE, SIZE), bool)
    triangle = np.abs(x - middle) <= (y + 1) / 2
    return np.stack([circle, square, triangle])


MASKS = _masks()


def generate(count: int) -> Iterator[dict[str, Any]]:
    for start in range(0, count, BLOCK):
        yield from islice(_block(start // BLOCK), count - start)


def _block(number: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng((2, number))
    names = list(COLOURS)
    for _ in range(BLOCK):
        places = _places(random)  # (shapes, 2): top, left
        shapes = random.integers(len(SHAPES), size=COUNT)
        colours = random.permutation(len(names))[:COUNT]
        image = random.integers(20, 70, (SIDE, SIDE, 3)).astype(np.uint8)
        for (top, left), shape, colour in zip(places, shapes, colours, strict=True):
            patch = image[top : top + SIZE, left : left + SIZE]
            patch[MASKS[shape]] = COLOURS[names[colour]]
        kind, asked, other = _question(random, places)
        answer = _answer(kind, places[asked], int(shapes[other]))
        form = (ABOUT_ONE | ABOUT_TWO)[kind][random.integers(2)]
        colour_name = names[colours[asked]]
        begin = form.index("{")
        boxes = [[int(x), int(y), int(x) + SIZE, int(y) + SIZE] for y, x in places[sorted({asked, other})]]
        yield {
            "image": image,
            "question": form.format(colour_name),
            "label": CLASSES.index(answer),
            "about": "one" if kind in ABOUT_ONE else "two",
            "image_evidence": boxes,
            "question_evidence": [[begin, begin + len(colour_name)]],
        }


def _places(random: np.random.Generator) -> NDArray[np.int64]:
    """(shapes, 2): corners, each in a cell of its own, anywhere in that."""
    cells = random.permutation((SIDE // CELL) ** 2)[:COUNT]
    corners = np.stack(np.divmod(cells, SIDE // CELL), axis=1) * CELL
    return corners + random.integers(0, CELL - SIZE, corners.shape, endpoint=True)


def _question(random: np.random.Generator, places: NDArray[np.int64]) -> tuple[str, int, int]:
    """What is asked, about which shape, and the shape that the answer tells of."""
    kinds = list(ABOUT_ONE if random.random() < 0.5 else ABOUT_TWO)
    for asked in random.permutation(COUNT):
        kind = kinds[random.integers(len(kinds))]
        if kind in ABOUT_ONE:
            return kind, int(asked), int(asked)
        distance = np.hypot(*(places - places[asked]).T)
        order = np.argsort(np.where(np.arange(COUNT) == asked, np.inf, distance))[:-1]
        first, second = order[:2] if kind == "nearest" else order[-1:-3:-1]
        if abs(distance[first] - distance[second]) >= APART:
            return kind, int(asked), int(first)
    return "shape", int(asked), int(asked)


def _answer(kind: str, place: NDArray[np.int64], shape: int) -> str:
    if kind in ("left", "top"):
        return "yes" if place[int(kind == "left")] + SIZE / 2 < SIDE / 2 else "no"
    return SHAPES[shape]
