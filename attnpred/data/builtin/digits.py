"""1,797 handwritten digits, 8 × 8 grey, from scikit-learn."""

from collections.abc import Iterator
from typing import Any

import numpy as np

CLASSES = tuple("0123456789")


def rows() -> Iterator[dict[str, Any]]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # its pixels go from 0 to 16
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    for image, label in zip(images, digits.target, strict=True):
        yield {"image": image, "label": int(label)}
