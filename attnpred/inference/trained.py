"""A trained run as Python code and notebooks use it."""

import base64
import html
import io
from typing import Any

import numpy as np

from attnpred.inference.predict import predict
from attnpred.runs.run import Run


class Trained:
    def __init__(self, run: str) -> None:
        self.run = Run.find(run)
        self.config = self.run.config()

    def predict(self, *inputs: str, explainer: str | None = None) -> "Answers":
        """Labels, probabilities and attention of texts or image files, as `attnpred predict` gives them."""
        return Answers(predict(self.run, self.config, inputs, explainer))


class Answers(list[dict[str, Any]]):
    """Plain descriptions, which a notebook draws."""

    def _repr_html_(self) -> str:
        return "".join(_drawn(answer) for answer in self)


def _drawn(answer: dict[str, Any]) -> str:
    sure = answer["probabilities"][answer["label"]]
    head = f"<b>{html.escape(answer['label'])}</b> {sure:.0%}"
    body = _words(answer) if "words" in answer else f"<br>{_image(answer)}"
    return f'<p style="line-height:1.9">{head} {body}</p>'


def _words(answer: dict[str, Any]) -> str:
    """What speaks for the label in amber, what speaks against it in blue."""
    shares = np.array(answer["attention"])
    strength = shares / max(np.abs(shares).max(initial=0), 1e-12)
    found = []
    for word, share in zip(answer["words"], strength, strict=True):
        colour = f"rgba({'255,160,50' if share > 0 else '70,130,230'},{abs(share):.2f})"
        found.append(f'<span style="background:{colour};border-radius:3px">{html.escape(word)}</span>')
    return " ".join(found)


def _image(answer: dict[str, Any]) -> str:
    """The image beside its map."""
    from PIL import Image

    from attnpred.modalities.image.pixels import as_pixels, open_image
    from attnpred.pages import pictures

    attention = np.maximum(np.array(answer["attention"]), 0)  # (height, width)
    height, width = answer["size"]
    pixels = as_pixels(open_image(answer["input"]).convert("RGB").resize((width, height)), 3)
    caption = pictures.Caption(None, answer["label"], answer["probabilities"][answer["label"]])
    picture = pictures.image_grid(pixels[None], attention.reshape(1, -1), (height, width), [caption])
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="the image, and beside it what decided" src="data:image/png;base64,{data}">'
