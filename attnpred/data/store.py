"""A prepared split on disk, whatever its modality: labels, class names and a description beside the examples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABOUT, LABELS = "about.json", "labels.npy"


class Store:
    """One split of a source, prepared and opened; labels are numbers among `classes`, the source's own."""

    def __init__(self, directory: Path) -> None:
        self.about = read_json(directory / ABOUT)
        self.classes: list[str] = self.about["classes"]
        self.labels: NDArray[np.int64] = np.load(directory / LABELS)


def save_store(directory: Path, labels: NDArray[np.int64], classes: list[str], **about: Any) -> None:
    np.save(directory / LABELS, labels)
    write_json(directory / ABOUT, {"classes": classes, **about})


def read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")
