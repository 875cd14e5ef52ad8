"""Image files become one array of bytes: decoding, and the store of a split's pixels."""

import io
import os
import stat
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.data.batching import Integers
from attnpred.data.evidence import EvidenceColumn, Marks, append_evidence, stored_evidence
from attnpred.data.places import Outside, Reach
from attnpred.data.splits import Rows
from attnpred.data.store import Store, save_store
from attnpred.data.targets import Collector
from attnpred.errors import BadRow

Pixels = NDArray[np.uint8]
PIXELS_FILE = "pixels.bin"
SHOWN = 3  # bad rows that a warning describes
# All that pictures come in. Pillow reads more, by programs that it starts (EPS) or decoders that few files test.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
GREY_MODES = {"1", "L", "LA"}
WIDE, FLOAT = ("I", "I;16", "I;16L", "I;16B", "I;16N"), "F"  # modes of more than a byte a pixel


class PixelStore(Store):
    """A split's images, (rows, channels, height, width) uint8, read as they are needed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        shape = (len(self.targets.values), *self.about["shape"])
        self.pixels: Pixels = np.memmap(directory / PIXELS_FILE, np.uint8, mode="r", shape=shape)
        # eight pixels a byte, and every line begins one
        self._evidence = stored_evidence(directory, (shape[0], shape[2], -(-shape[3] // 8)), np.uint8)

    def evidence(self, rows: Integers) -> Marks | None:
        """Which of these images' pixels decided the label, (rows, height, width); None where none is known."""
        if self._evidence is None:
            return None
        return np.unpackbits(self._evidence[rows], axis=2, count=self.pixels.shape[3]).view(np.bool_)


def open_image(source: str | Path | io.BytesIO) -> Any:
    """The image upright, as a camera's note in the file says; OSError or ValueError where there is none to be read."""
    from PIL import Image, ImageOps

    if not isinstance(source, io.BytesIO) and not stat.S_ISREG(Path(source).stat().st_mode):
        raise ValueError("not a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.init()
            image = Image.open(source, formats=[one for one in FORMATS if one in Image.OPEN])
        most = Image.MAX_IMAGE_PIXELS
        if most is not None and image.width * image.height > most:
            image.close()
            raise ValueError(f"{image.width:,} × {image.height:,} pixels are more than {most:,}")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return in_bytes(image)
    except OSError:
        raise
    except Exception as error:  # of any type, by where the file is damaged
        raise ValueError(str(error)) from error


def in_bytes(image: Any) -> Any:
    """The PIL image with a byte a pixel and colour: 16 bits and numbers are scaled, not cut off, or else refused."""
    from PIL import Image

    if image.mode in WIDE:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError(f"has pixels of {values.min()} to {values.max()}; bring them into 16 bits, 0 to 65535")
        scaled = values / 257
    elif image.mode == FLOAT:
        scaled = np.asarray(image).astype(np.float64)
        if not np.isfinite(scaled).all():
            raise ValueError("has pixels that are no numbers")
        if scaled.min() < 0 or scaled.max() > 255:
            raise ValueError(f"has pixels of {scaled.min():g} to {scaled.max():g}; bring them into 0 to 1, or 0 to 255")
        if scaled.max() <= 1:
            scaled = scaled * 255
    else:
        return image
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def in_colours(image: Any, channels: int) -> Any:
    """The PIL image with so many channels."""
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def as_pixels(image: Any, channels: int) -> Pixels:
    """(channels, height, width) of a PIL image, converted to so many channels."""
    values = np.asarray(in_colours(image, channels))
    return values[None] if channels == 1 else values.transpose(2, 0, 1)


def decode(value: Any, reach: Reach) -> Pixels:
    """One image of a source, an array or a file as `datasets` keeps it: (1 or 3, height, width)."""
    if isinstance(value, np.ndarray):
        return value[None] if value.ndim == 2 else value.transpose(2, 0, 1)
    content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, None)
    if content and isinstance(content, bytes):
        image = open_image(io.BytesIO(content))
    elif path and isinstance(path, str):
        image = open_image(reach.file(path))
    else:
        raise ValueError("is no image")
    return as_pixels(image, 1 if image.mode in GREY_MODES else 3)


def write_pixels(
    directory: Path,
    rows: Iterator[list[list[Any]]],
    targets: Collector,
    column: str,
    place: str,
    evidence: EvidenceColumn | None = None,
    *,
    reach: Reach,
    skip: bool = False,
) -> None:
    """Decodes chunks as they come; `column` and `place` (the split) say where a bad image is.

    A chunk holds images, then the columns of the target, and with `evidence` its column last. With `skip` a bad image
    becomes a black one without target, but not one that is a file out of `reach`: that is never passed over.
    """
    shape: tuple[int, ...] | None = None
    start = first = 0
    bad: list[str] = []

    def one(numbered: tuple[int, Any]) -> Pixels | str:
        """The image, or what is wrong with it."""
        row, value = numbered
        try:
            return decode(value, reach)
        except Outside as error:
            named = f"row {row} of {place} names the file {value['path']}, {error}"
            raise BadRow(f"data.image_column={column}: {named}", row) from None
        except (OSError, ValueError) as error:
            return f"row {row} of {place} cannot be decoded: {error}"

    with (directory / PIXELS_FILE).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as threads:
        for values, *rest in rows:
            found = list(threads.map(one, enumerate(values, start)))
            if shape is None:
                good = ((row, image.shape) for row, image in enumerate(found, start) if not isinstance(image, str))
                first, shape = next(good, (0, None))
            images, usable = [], [True] * len(values)
            for row, image in enumerate(found, start):
                if not isinstance(image, str) and image.shape != shape:
                    assert shape is not None
                    image = (
                        f"row {row} of {place} is {described(image.shape)}, row {first} is {described(shape)}; "
                        "bring all images to one size and number of colours"
                    )
                if isinstance(image, str):
                    if not skip or shape is None:
                        raise BadRow(f"data.image_column={column}: {image}; or set data.on_bad_row=skip", row)
                    bad.append(image)
                    usable[row - start] = False
                    image = np.zeros(shape, np.uint8)
                images.append(image)
            assert shape is not None
            file.write(np.stack(images).tobytes())
            if evidence is not None:
                marks = np.stack(evidence.on_pixels(rest.pop(), shape[1], shape[2]))
                append_evidence(directory, np.packbits(marks, axis=2))
            targets.add(rest, usable)
            start += len(values)
    save_store(directory, targets.finish(), shape=shape, bad=bad[:SHOWN])


def described(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height} × {width} {'grey' if channels == 1 else 'RGB'}"


def statistics(pixels: Pixels, rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel over the images at `rows`, in units of 0 to 255."""
    levels = np.arange(256)
    counts = np.zeros((pixels.shape[1], 256), np.int64)
    for start in range(0, len(rows), 1000):
        chunk = pixels[rows[start : start + 1000]]
        for channel in range(len(counts)):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ levels
    deviation = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(1))
    return tuple(mean.tolist()), tuple(deviation.tolist())
