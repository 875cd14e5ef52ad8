"""A prepared split on disk, whatever its modality: labels, class names and a description beside the examples."""

from pathlib import Path
from typing import Any

import numpy as np

from attnpred.data.labels import Labels
from attnpred.machine.files import read_json, write_json

ABOUT, LABELS = "about.json", "labels.npy"


class Store:
    """One split of a source, prepared and opened; labels are numbers among `classes`, the source's own."""

    def __init__(self, directory: Path) -> None:
        self.about = read_json(directory / ABOUT)
        self.classes: list[str] = self.about["classes"]
        self.labels: Labels = np.load(directory / LABELS, allow_pickle=False)


def save_store(directory: Path, labels: Labels, classes: list[str], **about: Any) -> None:
    np.save(directory / LABELS, labels)
    write_json(directory / ABOUT, {"classes": classes, **about})
