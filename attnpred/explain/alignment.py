"""How far a model's alignment is that of people: the alignment error rate (Och and Ney 2003)."""

from collections.abc import Iterable, Sequence

import numpy as np

Links = set[tuple[int, int]]  # a word of the source and one of the target, counted from 0


def read_links(line: str) -> tuple[Links, Links]:
    """`0-0 1-2 3?2` as sure links, and all that are possible: `?` in place of `-` marks one that is not sure."""
    sure: Links = set()
    possible: Links = set()
    for link in line.split():
        mark = "?" if "?" in link else "-"
        source, _, target = link.partition(mark)
        pair = (int(source), int(target))
        possible.add(pair)
        if mark == "-":
            sure.add(pair)
    return sure, possible


def links_of(rows: Sequence[Sequence[float]]) -> Links:
    """Each target word, a row of shares, with the source word that has most of it."""
    return {(int(np.argmax(row)), target) for target, row in enumerate(rows) if len(row)}


def error_rate(found: Iterable[tuple[Links, Links, Links]]) -> float:
    """Of links that were found, beside the sure and the possible ones of each sentence: 0 is best, 1 worst."""
    hits = total = 0
    for links, sure, possible in found:
        hits += len(links & sure) + len(links & possible)
        total += len(links) + len(sure)
    return 1 - hits / total if total else float("nan")
