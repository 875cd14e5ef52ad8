"""What people are shown of explained examples, as plain containers: a report draws it, a program reads it."""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from attnpred.contracts import Attention, ImageBatch
from attnpred.explain import truth
from attnpred.explain.base import own_parts
from attnpred.explain.study import Explained

Describe = Callable[
    [Attention], Iterator[dict[str, Any]]
]  # as a reading's `explain`: a text's words, and what falls on each


def examples(explained: Explained, classes: tuple[str, ...], describe: Describe) -> list[dict[str, Any]]:
    """One description an example, with every explainer's map: a number a word or region."""
    batch = explained.batch
    maps = {name: _grouped(importance, batch, describe) for name, importance in explained.maps.items()}
    heads = [[_grouped(head, batch, describe) for head in layer] for layer in _heads(explained)]
    evidence = truth.of_parts(batch, explained.attention.grid)
    known = None if evidence is None else _grouped(evidence.float(), batch, describe)
    shown = _shown(explained, describe)
    probabilities = explained.logits.softmax(1).tolist()
    found = []
    for row in range(len(batch)):
        predicted = classes[int(explained.target[row])]
        found.append(
            {
                "id": int(batch.ids[row]),
                "label": None if batch.labels is None else classes[int(batch.labels[row])],
                "predicted": predicted,
                "explained": predicted,
                "probabilities": dict(zip(classes, probabilities[row], strict=True)),
                **shown[row],
                "maps": {name: rows[row] for name, rows in maps.items()},
                "heads": [[rows[row] for rows in layer] for layer in heads],
                **({} if known is None else {"evidence": [int(share > 0) for share in known[row]]}),
            }
        )
    return found


def _shown(explained: Explained, describe: Describe) -> list[dict[str, Any]]:
    """What an example is, without what was found of it."""
    batch = explained.batch
    if not isinstance(batch, ImageBatch):
        return [{"words": described["words"]} for described in describe(explained.attention)]
    grid = explained.attention.grid
    assert grid is not None
    size = list(batch.pixels.shape[2:])
    return [{"image": _data_url(pixels), "size": size, "grid": list(grid)} for pixels in batch.pixels]


def _grouped(importance: Tensor, batch: Any, describe: Describe) -> list[list[float]]:
    """Each example's numbers: a word's are its tokens' together; a region's stay as they are."""
    if isinstance(batch, ImageBatch):
        rows: list[list[float]] = importance.tolist()
        return rows
    return [described["attention"] for described in describe(Attention(importance, signed=True))]


def _heads(explained: Explained) -> Iterator[list[Tensor]]:
    """Of each layer and head what every part receives, (batch, parts), as the mean over the queries that are parts."""
    parts = explained.attention.importance.shape[1]
    own = own_parts(explained.batch)  # (batch, parts)
    for weights in explained.attention.layers:
        inner = weights[..., -parts:].float()  # (batch, heads, query, parts)
        if own is not None:
            inner = inner[:, :, -parts:] * own[:, None, :, None]
        yield list(inner.sum(2).unbind(1))


def _data_url(pixels: Tensor) -> str:
    """(channels, height, width) of 0 to 255, as an image that a page holds in itself"""
    array = pixels.round().clamp(0, 255).to(torch.uint8).cpu().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
