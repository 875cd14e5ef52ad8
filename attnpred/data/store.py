"""A prepared split on disk, whatever its modality: targets and a description beside the examples."""

from pathlib import Path
from typing import Any

from attnpred.data.targets import Stored
from attnpred.files import read_json, write_json

ABOUT = "about.json"


class Store:
    """One split of a source, prepared and opened."""

    def __init__(self, directory: Path) -> None:
        files = [file for file in directory.iterdir() if file.is_file()]
        self.size = sum(file.stat().st_size for file in files)  # bytes, which come into memory as they are read
        self.about = read_json(directory / ABOUT)
        self.targets = Stored.load(directory, self.about["targets"])


def save_store(directory: Path, targets: Stored, **about: Any) -> None:
    targets.save(directory)
    write_json(directory / ABOUT, {"targets": targets.about, **about})
