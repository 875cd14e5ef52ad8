"""Likely faults of pairs of texts, told before training: sides that are cut, and texts in another script."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

LOOKED_AT = 2000  # texts of either side whose script is told


def script_of(text: str) -> str | None:
    """The script that most of a text's letters are of, as Unicode names it; None where there are no letters."""
    counted = Counter(unicodedata.name(c, "").partition(" ")[0] for c in text if c.isalpha())
    return counted.most_common(1)[0][0] if counted else None


def odd_scripts(texts: Iterable[str], place: str) -> str | None:
    """A warning where some texts of a side are in another script than most."""
    counted = Counter(script for script in map(script_of, texts) if script)
    if len(counted) < 2:
        return None
    (usual, _), *others = counted.most_common()
    odd = sum(count for _, count in others)
    named = ", ".join(f"{count:,} in {script}" for script, count in others[:3])
    return f"warning: {place}: {odd:,} of {counted.total():,} texts are not in {usual} as the others are ({named})"


def cut(lengths: Iterable[int], most: int, option: str, place: str) -> str | None:
    """A warning where texts are longer than is read."""
    counted = [length > most for length in lengths]
    if not (long := sum(counted)):
        return None
    return f"warning: {place}: {long:,} of {len(counted):,} texts are longer than {option} allows, and are cut"
