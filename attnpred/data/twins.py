"""Rows that are alike: equal ones by a digest, and nearly equal ones by small signatures that agree."""

import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

HASHES, BANDS = 64, 16  # of a text's signature; rows are compared that agree in all hashes of a band
SHINGLE = 3  # words that are looked at together
ALIKE = 0.8  # share of shingles that two texts have in common, from which on they are near duplicates
BITS = 3  # in which two of 64 may differ
WORD = re.compile(r"\w+")
SPREAD = np.uint64(0x100000001B3)
TRIED = 50  # rows of a bucket that later ones are compared with
_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(1, 2**63, HASHES, np.uint64) | np.uint64(1)
_SHIFTS = _RANDOM.integers(0, 2**63, HASHES, np.uint64)
Signatures = NDArray[Any]


def signature_of(text: str) -> NDArray[np.uint32]:
    """MinHash of the text's shingles, whatever its case and punctuation, (HASHES,). Broder 1997."""
    words = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in WORD.findall(text.lower())], np.uint64)
    words = words if len(words) else np.zeros(1, np.uint64)
    size = min(SHINGLE, len(words))
    shingles = np.zeros(len(words) - size + 1, np.uint64)
    for place in range(size):
        shingles = shingles * SPREAD + words[place : place + len(shingles)]
    mixed = np.unique(shingles)[:, None] * _FACTORS + _SHIFTS  # (shingles, hashes), modulo 2**64
    return (mixed >> np.uint64(32)).min(0).astype(np.uint32)


def near_by_shares(signatures: Signatures) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose `signature_of`, (rows, HASHES), agree nearly; each row with the first that it resembles."""
    width = HASHES // BANDS
    bands = [np.ascontiguousarray(signatures[:, i * width : (i + 1) * width]) for i in range(BANDS)]
    keys = (band.view(f"V{4 * width}").ravel() for band in bands)
    yield from _pairs(keys, lambda a, b: float((signatures[a] == signatures[b]).mean()) >= ALIKE)


def near_by_bits(signatures: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose 64 bits, (rows,), differ in few places: then they agree in a quarter. 0 is like none."""
    parts = signatures.view(np.uint16).reshape(-1, 4)
    keys = (np.ascontiguousarray(parts[:, i]) for i in range(4))

    def alike(a: int, b: int) -> bool:
        return bool(signatures[a] and signatures[b]) and int(signatures[a] ^ signatures[b]).bit_count() <= BITS

    yield from _pairs(keys, alike)


def _pairs(keys: Iterator[NDArray[Any]], alike: Any) -> Iterator[tuple[int, int]]:
    """Each row once, with an earlier one that shares a key and is alike. Of a key's rows the first few are tried."""
    paired: set[int] = set()
    for key in keys:
        _, group, sizes = np.unique(key, return_inverse=True, return_counts=True)
        several = np.flatnonzero(sizes[group] > 1)
        order = several[np.argsort(group[several], kind="stable")]
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        for members in np.split(order, cuts):
            leaders: list[int] = []
            for row in members.tolist():
                twin = next((leader for leader in leaders if alike(leader, row)), None)
                if twin is None and len(leaders) < TRIED:
                    leaders.append(row)
                if twin is not None and row not in paired:
                    paired.add(row)
                    yield twin, row


def equal(digests: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Each row that is equal to an earlier one, with the first of those."""
    _, first, group = np.unique(digests, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[group] != np.arange(len(digests)))
    yield from zip(first[group][again].tolist(), again.tolist(), strict=True)
