"""Precision, recall and F1 of each class or label, and the table that shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnpred.console.tables import align, number, printable

MOST_CLASSES = 20
NAMES = ("name", "precision", "recall", "f1", "support")


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """From a confusion matrix, (true, predicted); 0 where a class never occurs or is never predicted."""
    counts = np.asarray(confusion, dtype=np.int64)
    return report(counts.diagonal(), counts.sum(1), counts.sum(0), classes)


def report(hits: np.ndarray, support: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """From how often each class is rightly predicted, occurs, and is predicted."""

    def share(part: np.ndarray, whole: np.ndarray) -> list[float]:
        found: list[float] = (part / np.maximum(whole, 1)).tolist()
        return found

    columns = share(hits, predicted), share(hits, support), share(2 * hits, support + predicted), support.tolist()
    return [dict(zip(NAMES, row, strict=True)) for row in zip(names, *columns, strict=True)]


def table(classes: Sequence[Mapping[str, Any]], split: str, what: str = "class") -> str:
    """Aligned text; of many classes those with the lowest F1. Further columns follow those that every class has."""
    if not classes:
        return ""
    shown, head = classes, f"{split} by {what}"
    if len(classes) > MOST_CLASSES:
        # a class without examples has no f1 to be bad at
        shown = sorted(classes, key=lambda c: (not c["support"], c["f1"]))[:MOST_CLASSES]
        head = f"{split}, worst {MOST_CLASSES} of {len(classes):,} {'classes' if what == 'class' else 'labels'} by f1"
    further = [key for key in classes[0] if key not in NAMES]
    rows = [
        [
            printable(c["name"]),
            *(number(c[key]) for key in ("precision", "recall", "f1")),
            f"{c['support']:,}",
            *(number(c[key]) for key in further),
        ]
        for c in shown
    ]
    return align([[head, "precision", "recall", "f1", "examples", *(k.replace("_", " ") for k in further)], *rows])
