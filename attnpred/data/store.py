"""A prepared split on disk, whatever its modality: targets and a description beside the examples."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data.targets import Stored
from attnpred.files import read_json, write_json

ABOUT, DIGESTS = "about.json", "digests.npy"


class Store:
    """One split of a source, prepared and opened."""

    def __init__(self, directory: Path) -> None:
        files = [file for file in directory.iterdir() if file.is_file()]
        self.size = sum(file.stat().st_size for file in files)  # bytes, which come into memory as they are read
        self.about = read_json(directory / ABOUT)
        self.targets = Stored.load(directory, self.about["targets"])
        self._digests = directory / DIGESTS

    def digests(self) -> NDArray[np.uint64] | None:
        """A number for each row's inputs, equal where they are, (rows,); None of kinds of data that keep none."""
        return np.load(self._digests, allow_pickle=False) if self._digests.exists() else None


def digest(content: Iterable[bytes]) -> int:
    """Stands for the parts of a row's inputs."""
    whole = b"".join(len(part).to_bytes(8, "little") + part for part in content)
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "little")


def save_store(directory: Path, targets: Stored, digests: Sequence[int] = (), **about: Any) -> None:
    targets.save(directory)
    if digests:
        np.save(directory / DIGESTS, np.array(digests, np.uint64))
    write_json(directory / ABOUT, {"targets": targets.about, **about})
