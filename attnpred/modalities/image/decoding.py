"""An image file, or an array, becomes pixels: upright, a byte a pixel and colour, of the size that is asked for."""

import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from attnpred.data.places import PICTURES, Reach
from attnpred.modalities.image.fit import Box, Fit, Pixels

# All that pictures come in. Pillow reads more, by programs that it starts (EPS) or decoders that few files test.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
File = str | Path | io.BytesIO
GREY_MODES = {"1", "L", "LA"}
WIDE, FLOAT = ("I", "I;16", "I;16L", "I;16B", "I;16N"), "F"  # modes of more than a byte a pixel
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)  # the camera's note in a file, and its values that swap width and height


def open_image(source: File, fit: Fit | None = None, box: Box | None = None) -> Any:
    """The image upright, as a camera's note in the file says; OSError or ValueError where there is none to be read.

    A JPEG is decoded to no more than what `fit` and `box` (left, top, right, bottom, of 0 to 1) need.
    """
    with _readable():
        return _loaded(_opened(source, fit, box)[0])


def read_image(source: File, channels: int, fit: Fit, box: Box | None = None) -> Pixels:
    """The file's image as `fitted`; a JPEG of which nothing can be left out by the faster of two decoders."""
    with _readable():
        image, whole = _opened(source, fit, box)
        pixels = _whole_jpeg(image, source, channels) if whole else None
        if pixels is None:
            return fitted(_loaded(image), channels, fit, box)
        size = image.size
        image.close()
    return fit.apply(pixels, None if box is None else scaled(box, *size))


@contextmanager
def _readable() -> Iterator[None]:
    """Turns errors of any type, by where a file is damaged, into ValueError, unless they are the system's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ValueError(str(error)) from error


def _opened(source: File, fit: Fit | None, box: Box | None) -> tuple[Any, bool]:
    """The image, of which no pixel is read yet, and whether it will be of the size that the file has."""
    from PIL import Image

    if not isinstance(source, io.BytesIO) and not stat.S_ISREG(Path(source).stat().st_mode):
        raise ValueError("not a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.init()
        image = Image.open(source, formats=[one for one in FORMATS if one in Image.OPEN])
    most, size = Image.MAX_IMAGE_PIXELS, image.size
    if most is not None and image.width * image.height > most:
        image.close()
        raise ValueError(f"{image.width:,} × {image.height:,} pixels are more than {most:,}")
    if fit is not None and image.format == "JPEG":
        _decode_smaller(image, fit, box)
    return image, image.size == size


def _loaded(image: Any) -> Any:
    from PIL import ImageOps

    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return in_bytes(image)


def _whole_jpeg(image: Any, source: File, channels: int) -> Pixels | None:
    """The pixels by torchvision, which has them in half of Pillow's time, and the same; None where Pillow must.

    Grey of colours is mixed in other ways by both; what torchvision cannot read Pillow may, or tells why.
    """
    alike = image.mode == "L" or (image.mode == "RGB" and channels == 3)
    if image.format != "JPEG" or not alike or image.getexif().get(ORIENTATION, 1) != 1:
        return None
    import torch

    try:  # later versions may not have it
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        return None
    content = source.getvalue() if isinstance(source, io.BytesIO) else Path(source).read_bytes()
    mode = ImageReadMode.GRAY if image.mode == "L" else ImageReadMode.RGB
    try:
        pixels = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode)
    except RuntimeError:
        return None
    found: Pixels = pixels.expand(channels, -1, -1).numpy()
    return found


def _decode_smaller(image: Any, fit: Fit, box: Box | None) -> None:
    """Has the decoder leave out detail that would be averaged away, which takes a fraction of the time."""
    lying = image.getexif().get(ORIENTATION) in LYING
    width, height = reversed(image.size) if lying else image.size
    least = fit.needed(width, height, None if box is None else scaled(box, width, height))
    image.draft(None, least[::-1] if lying else least)


def scaled(box: Box, width: int, height: int) -> Box:
    """A box of 0 to 1 in an image's pixels."""
    left, top, right, bottom = box
    return left * width, top * height, right * width, bottom * height


def in_bytes(image: Any) -> Any:
    """The PIL image with a byte a pixel and colour: 16 bits and numbers are scaled, not cut off, or else refused."""
    from PIL import Image

    if image.mode in WIDE:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError(f"has pixels of {values.min()} to {values.max()}; bring them into 16 bits, 0 to 65535")
        levels = values / 257
    elif image.mode == FLOAT:
        levels = np.asarray(image).astype(np.float64)
        if not np.isfinite(levels).all():
            raise ValueError("has pixels that are NaN or infinite")
        if levels.min() < 0 or levels.max() > 255:
            raise ValueError(f"has pixels of {levels.min():g} to {levels.max():g}; bring them into 0 to 1, or 0 to 255")
        if levels.max() <= 1:
            levels = levels * 255
    else:
        return image
    return Image.fromarray(np.rint(levels).astype(np.uint8))


def in_colours(image: Any, channels: int) -> Any:
    """The PIL image with so many channels; what is transparent shows white."""
    from PIL import Image

    mode = "L" if channels == 1 else "RGB"
    if image.mode == mode:
        return image
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image.convert(mode)


def as_pixels(image: Any, channels: int) -> Pixels:
    """(channels, height, width) of a PIL image, converted to so many channels."""
    values = np.asarray(in_colours(image, channels))
    return values[None] if channels == 1 else values.transpose(2, 0, 1)


def fitted(image: Any, channels: int, fit: Fit, box: Box | None = None) -> Pixels:
    """(channels, height, width) of a PIL image brought to a size; of the `box` of it, of 0 to 1, where one is given."""
    pixels = as_pixels(image, channels)  # colours first: a palette's numbers can't be averaged
    return fit.apply(pixels, None if box is None else scaled(box, *image.size))


def content(value: Any, reach: Reach) -> bytes | Path:
    """The bytes of a source's image as `datasets` keeps it, or the file that holds them."""
    held, path = value.get("bytes") if isinstance(value, dict) else None, path_in(value)
    if held and isinstance(held, bytes):
        return held
    if path is not None:
        return reach.file(path)
    raise ValueError("is no image")


def path_in(value: Any) -> str | None:
    """The path by which a value of a source names a picture; None where it names none."""
    if isinstance(value, str):
        return value if value.lower().endswith(PICTURES) else None
    path = value.get("path") if isinstance(value, dict) else None
    return path if path and isinstance(path, str) else None


def decode(
    value: Any, reach: Reach, fit: Fit | None = None, channels: int | None = None, box: Box | None = None
) -> Pixels:
    """One image of a source, an array or a file: (1 or 3, height, width), of its own size and colours unless told.

    With `fit` and `channels` the `box` of it may be asked for, of 0 to 1.
    """
    if isinstance(value, np.ndarray) and fit is None and channels is None:
        return value[None] if value.ndim == 2 else value.transpose(2, 0, 1)
    if fit is not None and channels is not None and not isinstance(value, np.ndarray):
        return read_image(_file(value, reach), channels, fit, box)
    image = opened(value, reach, fit)
    channels = channels or (1 if image.mode in GREY_MODES else 3)
    return as_pixels(image, channels) if fit is None else fitted(image, channels, fit, box)


def opened(value: Any, reach: Reach, fit: Fit | None) -> Any:
    from PIL import Image

    if isinstance(value, np.ndarray):
        return Image.fromarray(value)
    return open_image(_file(value, reach), fit)


def _file(value: Any, reach: Reach) -> File:
    held = content(value, reach)
    return io.BytesIO(held) if isinstance(held, bytes) else held
