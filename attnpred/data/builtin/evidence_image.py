"""Framed signs on a noisy ground, of which the one with the closed frame decides the label: made up, any number.

The other frames have a gap, and as many pixels. Each of the four signs is in every image, and the label is drawn apart
from how often. So signs without their frames tell nothing, nor do colours or places.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 250  # rows made at once
SIDE, PATCH, MOST = 32, 7, 5
STEP = 4  # between the places where a patch can be: to know it at every offset is more than a small transformer learns
SIGNS = {  # of five pixels each
    "plus": (".#.", "###", ".#."),
    "cross": ("#.#", ".#.", "#.#"),
    "tee": ("###", ".#.", ".#."),
    "corner": ("#..", "#..", "###"),
}
CLASSES = tuple(SIGNS)
GAP = 4  # pixels missing from an open frame; a closed one lacks its four corners


def _ring() -> list[tuple[int, int]]:
    """The places of a patch's border, clockwise from the first corner."""
    last = PATCH - 1
    top = [(0, i) for i in range(last)]
    right = [(i, last) for i in range(last)]
    return top + right + [(last - y, last - x) for y, x in top + right]


def _patches() -> NDArray[np.bool_]:
    """(classes, frames, side, side): the first frame is the closed one, the others' gaps begin anywhere."""
    ring = _ring()
    corners = [place for place in ring if set(place) <= {0, PATCH - 1}]
    gaps = [corners, *([ring[(start + i) % len(ring)] for i in range(GAP)] for start in range(len(ring)))]
    made = np.zeros((len(SIGNS), len(gaps), PATCH, PATCH), bool)
    for sign, lines in enumerate(SIGNS.values()):
        for frame, gap in enumerate(gaps):
            for place in ring:
                made[sign, frame][place] = place not in gap
            made[sign, frame, 2:-2, 2:-2] = [[c == "#" for c in line] for line in lines]
    return made


PATCHES = _patches()


def generate(count: int) -> Iterator[dict[str, Any]]:
    for start in range(0, count, BLOCK):
        yield from islice(_block(start // BLOCK), count - start)


def _block(number: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng((1, number))
    images, places = _grounds(random), _places(random)
    # the first is the evidence, the next ones the other signs, the last anyone's
    signs = random.permuted(np.tile(np.arange(len(CLASSES)), (BLOCK, 1)), axis=1)
    signs = np.concatenate((signs, random.integers(len(CLASSES), size=(BLOCK, 1))), axis=1)
    frames = random.integers(1, PATCHES.shape[1], signs.shape)
    frames[:, 0] = 0
    colours = _colours(random)
    for row in range(BLOCK):
        for i, (top, left) in enumerate(places[row]):
            patch = images[row, top : top + PATCH, left : left + PATCH]
            patch[PATCHES[signs[row, i], frames[row, i]]] = colours[row, i]
        top, left = places[row][0]
        evidence = [[left, top, left + PATCH, top + PATCH]]
        yield {"image": images[row], "label": int(signs[row, 0]), "evidence": evidence}


def _grounds(random: np.random.Generator) -> NDArray[np.uint8]:
    """(rows, side, side, 3): dark, of coarse and of fine noise."""
    coarse = random.integers(20, 80, (BLOCK, SIDE // 4, SIDE // 4, 3)).repeat(4, 1).repeat(4, 2)
    fine = random.integers(0, 40, (BLOCK, SIDE, SIDE, 3))
    return (coarse + fine).astype(np.uint8)


def _colours(random: np.random.Generator) -> NDArray[np.uint8]:
    """(rows, patches, 3): of any hue, all equally bright and colourful."""
    hue = random.random((BLOCK, MOST, 1)) * 2 * np.pi
    thirds = np.array([0, 2, 4]) * np.pi / 3
    return (175 + 80 * np.cos(hue + thirds)).astype(np.uint8)


def _places(random: np.random.Generator) -> list[list[tuple[int, int]]]:
    """A row's four or five corners (top, left) of patches that neither overlap nor touch, in a random order."""
    room = (SIDE - PATCH) // STEP + 1
    free = np.ones((BLOCK, room, room), bool)  # a patch takes nine of 49 at most: one is always left
    found: list[list[tuple[int, int]]] = [[] for _ in range(BLOCK)]
    for _ in range(MOST):
        best = (random.random(free.shape) * free).reshape(BLOCK, -1).argmax(1)
        for row, (y, x) in enumerate(zip(*divmod(best, room), strict=True)):
            found[row].append((int(y) * STEP, int(x) * STEP))
            free[row, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = False
    # later patches lie nearer to the border, and the first in the list is the evidence
    counts = random.integers(MOST - 1, MOST, BLOCK, endpoint=True)
    return [[places[i] for i in random.permutation(count)] for places, count in zip(found, counts, strict=True)]
