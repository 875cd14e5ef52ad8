"""A split's images in the cache: their pixels, decoded once, or their files, decoded at each use."""

import io
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from attnpred.data.batching import Integers
from attnpred.data.evidence import EvidenceColumn, Marks, append_evidence, stored_evidence
from attnpred.data.places import Outside, Reach
from attnpred.data.splits import Rows
from attnpred.data.store import Store, digest, save_store
from attnpred.data.targets import Collector
from attnpred.errors import BadRow
from attnpred.files import named
from attnpred.modalities.image.decoding import Pixels, content, decode, open_image, path_in, read_image
from attnpred.modalities.image.fit import Fit

PIXELS_FILE, FILES_FILE, OFFSETS_FILE = "pixels.bin", "files.bin", "offsets.bin"
SHOWN = 3  # bad rows that a warning describes
SAMPLE = 2_000  # images whose pixels are counted, where images are large
LARGE = 64 * 64  # pixels

T = TypeVar("T")


class PixelStore(Store):
    """A split's images, (rows, channels, height, width) uint8, read as they are needed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.shape = tuple(self.about["shape"])  # of an image
        shape = (len(self.targets.values), *self.shape)
        with named(directory / PIXELS_FILE):
            self.pixels: Pixels = np.memmap(directory / PIXELS_FILE, np.uint8, mode="r", shape=shape)
        # eight pixels a byte, and every line begins one
        self._evidence = stored_evidence(directory, (shape[0], shape[2], -(-shape[3] // 8)), np.uint8)

    def read(self, rows: Integers) -> Pixels:
        """(rows, channels, height, width)"""
        return self.pixels[rows]

    def evidence(self, rows: Integers) -> Marks | None:
        """Which of these images' pixels decided the label, (rows, height, width); None where none is known."""
        if self._evidence is None:
            return None
        return np.unpackbits(self._evidence[rows], axis=2, count=self.pixels.shape[3]).view(np.bool_)


class FileStore(Store):
    """A split's image files, one after the other in a flat file, which threads decode as they are needed."""

    def __init__(self, directory: Path, fit: Fit, channels: int) -> None:
        super().__init__(directory)
        self.shape = (channels, fit.height, fit.width)
        self._fit, self._channels = fit, channels
        with named(directory):
            self._files = np.memmap(directory / FILES_FILE, np.uint8, mode="r")
            self._offsets = np.memmap(directory / OFFSETS_FILE, np.int64, mode="r")

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count())

    def read(self, rows: Integers, boxes: Any = None) -> Pixels:
        """(rows, channels, height, width), of the whole images or of the `boxes` of them, (rows, 4) of 0 to 1."""
        given = boxes.tolist() if boxes is not None else [None] * len(rows)
        return np.stack(list(self._threads.map(self._one, rows.tolist(), given)))

    def _one(self, row: int, box: Any) -> Pixels:
        held = self._files[self._offsets[row] : self._offsets[row + 1]].tobytes()
        return read_image(io.BytesIO(held), self._channels, self._fit, box)

    def evidence(self, rows: Integers) -> None:
        return None


class _Attempts:
    """Rows turned into something by threads, with what is said of those that cannot be; counts from the first row."""

    def __init__(self, column: str, place: str, reach: Reach) -> None:
        self._column, self._place = column, place
        self.reach, self.start = reach, 0
        self.bad: list[str] = []

    def all(self, threads: ThreadPoolExecutor, convert: Callable[[Any], T], values: list[Any]) -> list[T | str]:
        """The result of `convert` for each value, or the fault of the value."""

        def one(row: int, value: Any) -> T | str:
            try:
                return convert(value)
            except Outside as error:  # is never passed over
                named = f"row {row} of {self._place} names the file {path_in(value)}, {error}"
                raise BadRow(f"data.image_column={self._column}: {named}", row) from None
            except (OSError, ValueError) as error:
                return f"row {row} of {self._place} cannot be decoded: {error}"

        return list(threads.map(one, range(self.start, self.start + len(values)), values))

    def passed_over(self, row: int, what: str, skip: bool) -> None:
        """Takes down a bad row, or raises."""
        if not skip:
            raise BadRow(f"data.image_column={self._column}: {what}; or set data.on_bad_row=skip", row)
        self.bad.append(what)


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
    fit: Fit | None = None,
    channels: int | None = None,
) -> None:
    """Decodes chunks as they come; `column` and `place` (the split) say where a bad image is.

    A chunk holds images, then the columns of the target, and with `evidence` its column last. With `skip` a bad image
    becomes a black one without target, but not one that is a file out of `reach`: that is never passed over.
    """
    shape: tuple[int, ...] | None = None
    first, digests = 0, array("Q")
    attempts = _Attempts(column, place, reach)
    with (directory / PIXELS_FILE).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as threads:
        for values, *rest in rows:
            found = attempts.all(threads, lambda value: decode(value, reach, fit, channels), values)
            if shape is None:
                good = (
                    (row, image.shape) for row, image in enumerate(found, attempts.start) if not isinstance(image, str)
                )
                first, shape = next(good, (0, None))
            images, usable = [], [True] * len(values)
            for row, image in enumerate(found, attempts.start):
                if not isinstance(image, str) and image.shape != shape:
                    assert shape is not None
                    image = (
                        f"row {row} of {place} is {described(image.shape)}, row {first} is {described(shape)}; "
                        "bring all images to one size and number of colours by data.size"
                    )
                if isinstance(image, str):
                    attempts.passed_over(row, image, skip and shape is not None)
                    assert shape is not None
                    usable[row - attempts.start] = False
                    image = np.zeros(shape, np.uint8)
                images.append(image)
            assert shape is not None
            file.write(np.stack(images).tobytes())
            digests.extend(digest([image.tobytes()]) for image in images)
            if evidence is not None:
                marks = np.stack(evidence.on_pixels(rest.pop(), shape[1], shape[2]))
                append_evidence(directory, np.packbits(marks, axis=2))
            targets.add_rows(len(values), rest, usable)
            attempts.start += len(values)
    save_store(directory, targets.finish(), digests, shape=shape, bad=attempts.bad[:SHOWN])


def write_files(
    directory: Path,
    rows: Iterator[list[list[Any]]],
    targets: Collector,
    column: str,
    place: str,
    *,
    reach: Reach,
    skip: bool = False,
) -> None:
    """Copies the image files of chunks as they come; each is decoded once, coarsely, to know that it can be."""
    tiny, end, attempts = Fit(1, 1), 0, _Attempts(column, place, reach)
    digests = array("Q")

    def checked(value: Any) -> bytes:
        held = content(value, reach)
        held = held if isinstance(held, bytes) else held.read_bytes()
        open_image(io.BytesIO(held), tiny)
        return held

    with (
        (directory / FILES_FILE).open("wb") as file,
        (directory / OFFSETS_FILE).open("wb") as offsets,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        offsets.write(np.int64(end).tobytes())
        for values, *rest in rows:
            usable = [True] * len(values)
            for place_in_chunk, held in enumerate(attempts.all(threads, checked, values)):
                if isinstance(held, str):
                    attempts.passed_over(attempts.start + place_in_chunk, held, skip)
                    usable[place_in_chunk], held = False, b""
                file.write(held)
                end += len(held)
                offsets.write(np.int64(end).tobytes())
                digests.append(digest([held]))
            targets.add_rows(len(values), rest, usable)
            attempts.start += len(values)
    save_store(directory, targets.finish(), digests, bad=attempts.bad[:SHOWN])


def described(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height} × {width} {'grey' if channels == 1 else 'RGB'}"


def statistics(store: PixelStore | FileStore, rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel over the images at `rows`, in units of 0 to 255.

    Of large images a sample is enough: its pixels are many.
    """
    _, height, width = store.shape
    if height * width > LARGE and len(rows) > SAMPLE:
        rows = rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64)]
    return spread(store.read(rows[start : start + 1000]) for start in range(0, len(rows), 1000))


def spread(chunks: Iterable[Pixels]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel over images that come as (images, channels, height, width)."""
    levels, counts = np.arange(256), np.zeros((0, 256), np.int64)
    for chunk in chunks:
        found = [np.bincount(chunk[:, channel].ravel(), minlength=256) for channel in range(chunk.shape[1])]
        counts = np.stack(found) if not len(counts) else counts + found
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ levels
    deviation = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(1))
    return tuple(mean.tolist()), tuple(deviation.tolist())
