"""The maps of a story as pictures beside a run's curves."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from attnpred.pages import pictures
from attnpred.runs.run import Run

MOST = 32  # examples in a picture


def draw(run: Run, story: dict[str, Any]) -> None:
    """One picture an explainer, `explain/NAME`; of signed maps what speaks for the label."""
    from torch.utils.tensorboard import SummaryWriter

    shown = story["examples"][:MOST]
    captions = [pictures.Caption(e["label"], e["predicted"], e["probabilities"][e["predicted"]]) for e in shown]
    writer = SummaryWriter(str(run.path / "tensorboard"))
    for explainer in story["explainers"]:
        name = explainer["name"]
        maps = [np.maximum(e["maps"][name], 0) for e in shown]
        if story["modality"] == "image":
            pixels = np.stack([_pixels(e["image"]) for e in shown])
            picture = pictures.image_grid(pixels, np.stack(maps), tuple(shown[0]["grid"]), captions)
        else:
            picture = pictures.text_examples([e["words"] for e in shown], [list(m) for m in maps], captions)
        writer.add_image(f"explain/{name}", picture, dataformats="HWC")
    writer.close()


def _pixels(url: str) -> np.ndarray:
    """(channels, height, width) uint8"""
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
