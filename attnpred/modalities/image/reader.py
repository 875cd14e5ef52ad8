"""Image files in: batches of pixels. Attention on regions out: attention on pixels."""

import base64
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from attnpred.contracts import Attention, Batch
from attnpred.errors import BadInput
from attnpred.modalities import received
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.image.decoding import Pixels, read_image
from attnpred.modalities.image.fit import WAYS, Fit
from attnpred.modalities.reader import Describe, Reader, Reading
from attnpred.pages import pictures
from attnpred.pages.pictures import Caption

SPEC = ImageSpec
SMALL_FILE = 10_000  # bytes
DIGITS = 5  # of attention on a pixel


class ImageReader(Reader[ImageSpec, ImageInput]):
    """Makes batches of image files, and pixels' attention of regions'."""

    name = "image"

    def __init__(self, spec: ImageSpec, fit: Fit | None = None) -> None:
        """`fit`: how training brought images to the model's size; None where they had it."""
        self.spec = spec
        self._fit = fit or Fit(spec.height, spec.width)

    def going_on(self, config: Any) -> Self:
        return type(self)(self.spec, config.fitted() or self._fit)

    def options(self) -> dict[str, Any]:
        return self._fit.options()

    @classmethod
    def load(cls, directory: Path, spec: ImageSpec, options: dict[str, Any]) -> "ImageReader":
        way, share = options.get("fit", "stretch"), options.get("crop_share", 1.0)  # earlier versions knew no other
        if way not in WAYS or type(share) is not float or not 0 < share <= 1:
            raise ValueError("reader has other options")
        return cls(spec, Fit(spec.height, spec.width, way, share))

    def received(self, value: Any, position: int) -> bytes:
        return received.picture(value, position)

    def readings(self, inputs: Iterable[str | bytes], size: int) -> Iterator[Reading]:
        """Batches of `size` image files, or their contents, in the order given, at the model's size and colours."""
        stream, start = iter(inputs), 0
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            while paths := list(islice(stream, size)):
                # threads take longer over small files than one alone, since they wait for one another
                together = _bytes(paths[0] or "") > SMALL_FILE
                found = list((threads.map if together else map)(self._read, paths))
                good = list(takewhile(lambda one: not isinstance(one, str), found))
                if good:
                    images = ImageInput(pixels=torch.from_numpy(np.stack(good)))
                    ids = torch.arange(start, start + len(good))
                    batch = Batch(inputs={self.name: images}, targets={}, ids=ids)
                    yield Reading(paths[: len(good)], batch, self._describe)
                if len(good) < len(paths):
                    raise BadInput(str(found[len(good)]), start + len(good))
                start += len(paths)

    def blank(self) -> Any:
        """Is looked at no more than any other: a black image."""
        return None

    def describe(self, found: ImageInput) -> Describe:
        return self._describe

    def _read(self, given: str | bytes | None) -> Pixels | str:
        """The pixels of a file, or of its content; or what is wrong with it."""
        if given is None:
            return np.zeros((self.spec.channels, self.spec.height, self.spec.width), np.uint8)
        try:
            source = io.BytesIO(given) if isinstance(given, bytes) else given
            return read_image(source, self.spec.channels, self._fit)
        except (OSError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else f"no image that can be read ({error})"
            return f"{'the image' if isinstance(given, bytes) else given}: {reason}; give the path of an image file"

    def _describe(self, attention: Attention) -> Iterator[dict[str, Any]]:
        """Attention a pixel of the model's input, from its regions'."""
        (grid,) = attention.grids
        assert grid is not None, "an image's importance needs the grid of its regions"
        regions = attention.importance.cpu().double().unflatten(1, (1, *grid))
        size = (self.spec.height, self.spec.width)
        pixels = F.interpolate(regions, size, mode="bilinear", align_corners=False)[:, 0]  # (batch, height, width)
        for one in (pixels if attention.signed else pixels / pixels.sum((1, 2), keepdim=True)).numpy():
            yield {"size": list(size), "attention": _rounded(one).tolist()}

    def shown(self, found: ImageInput, attention: Attention, describe: Describe) -> list[dict[str, Any]]:
        (grid,) = attention.grids
        assert grid is not None
        size = list(found.pixels.shape[2:])
        return [{"image": data_url(pixels), "size": size, "grid": list(grid)} for pixels in found.pixels]

    def maps(self, found: ImageInput, importance: Any, attention: Attention, describe: Describe) -> list[list[float]]:
        rows: list[list[float]] = importance.tolist()  # regions stay as they are
        return rows

    def draw(self, examples: Sequence[dict[str, Any]], maps: Sequence[Any], captions: Sequence[Caption]) -> np.ndarray:
        pixels = np.stack([_pixels(one["image"]) for one in examples])
        return pictures.image_grid(
            pixels, np.stack([np.asarray(m) for m in maps]), tuple(examples[0]["grid"]), captions
        )

    def html(self, answer: dict[str, Any], caption: Caption) -> str:
        """The image beside its map."""
        attention = np.array(answer["attention"])  # (height, width)
        height, width = answer["size"]
        pixels = read_image(answer["input"], 3, self._fit)
        picture = pictures.image_grid(pixels[None], attention.reshape(1, -1), (height, width), [caption])
        return f'<br><img alt="the image, and beside it what decided" src="{_as_png(picture)}">'


READER = ImageReader


def _rounded(values: np.ndarray) -> np.ndarray:
    """With so many digits as mean something: a file of them is less than half as large."""
    tens = np.floor(np.log10(np.maximum(np.abs(values), np.finfo(values.dtype).tiny)))
    scale = 10.0 ** np.clip(DIGITS - 1 - tens, None, 300)
    return np.round(values * scale) / scale


def data_url(pixels: Tensor) -> str:
    """(channels, height, width) of 0 to 255, as an image that a page holds in itself"""
    array = pixels.round().clamp(0, 255).to(torch.uint8).cpu().permute(1, 2, 0).numpy()
    return _as_png(array[:, :, 0] if array.shape[2] == 1 else array)


def _as_png(array: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _pixels(url: str) -> np.ndarray:
    """(channels, height, width) uint8"""
    from PIL import Image

    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


def _bytes(given: str | bytes) -> int:
    try:
        return len(given) if isinstance(given, bytes) else Path(given).stat().st_size
    except (OSError, ValueError):
        return 0
