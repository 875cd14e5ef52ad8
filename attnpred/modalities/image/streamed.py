"""Images that are trained on as they are read: decoded batch by batch, and never kept."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Batch
from attnpred.data.batching import Integers
from attnpred.data.places import Outside
from attnpred.data.stream import Stream
from attnpred.data.streaming import Columns, Draw, in_blocks
from attnpred.errors import BadRow
from attnpred.modalities.image.batch import ImageInput
from attnpred.modalities.image.decoding import decode, path_in
from attnpred.modalities.image.fit import Box, Pixels, random_crops
from attnpred.modalities.image.loader import DecodingStream
from attnpred.modalities.image.pixels import SAMPLE, described

CHUNK = 64  # images read at once


class ImageStream(Stream):
    """The train split of image data."""

    Loader = DecodingStream

    def first(self) -> Iterator[Pixels]:
        """The first images, as many as are shuffled together, or as mean and deviation need."""
        columns = next(in_blocks(self._read(0), min(self._data.config.stream_buffer, SAMPLE)))
        return self._decoded(columns[0], np.arange(len(columns[0])), [None] * len(columns[0]))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count())

    def _read(self, start: int) -> Iterator[Columns]:
        columns = self._data._columns() | self._data._target_columns()
        return self._data.source.chunks(*self._train, columns, CHUNK, start)

    def _inputs(self, columns: Columns, values: NDArray[Any], numbers: Integers, draw: Draw | None) -> "StreamedImages":
        return StreamedImages(self, columns[0], values, numbers.astype(np.int64), draw)

    def batch(self, images: list[Any], values: NDArray[Any], numbers: NDArray[np.int64], draw: Draw | None) -> Batch:
        """`images` as the source has them, and of each its target and number."""
        smallest, boxes = self._data.config.augment.random_crop, [None] * len(images)
        if draw is not None and smallest:
            boxes = random_crops(numbers, *draw, smallest).tolist()
        pixels = np.stack(list(self._decoded(images, numbers, boxes)))
        found = Batch(
            inputs={self._data.reader.name: ImageInput(pixels=torch.from_numpy(pixels))},
            targets=self._data.target.tensors(values),
            ids=torch.from_numpy(numbers),
        )
        return found if draw is not None else self._data._posed(found)

    def _decoded(self, images: list[Any], numbers: Integers, boxes: Sequence[Box | None]) -> Iterator[Pixels]:
        config, reach = self._data.config, self._data.source.reach
        fit, channels = config.fitted(), config.colours()
        place, option = self._place, f"data.image_column={config.image_column}"

        def one(value: Any, number: int, box: Box | None) -> Pixels:
            try:
                return decode(value, reach, fit, channels, box)
            except Outside as error:
                named = f"row {number} of {place} names the file {path_in(value)}, {error}"
                raise BadRow(f"{option}: {named}", number) from None
            except (OSError, ValueError) as error:
                said = f"row {number} of {place} cannot be decoded: {error}; mend it"
                raise BadRow(f"{option}: {said}", number) from None

        rows, shape = numbers.tolist(), self._data.shape
        with self._data._naming_file(self._train[0]):
            for number, image in zip(rows, self._threads.map(one, images, rows, boxes), strict=True):
                shape = shape or image.shape
                if image.shape != shape:
                    raise BadRow(
                        f"row {number} of {place} is {described(image.shape)}, others are {described(shape)}; bring "
                        "all images to one size and number of colours by data.size",
                        number,
                    )
                yield image


@dataclass(frozen=True)
class StreamedImages:
    """Rows of a block, ready to be decoded; `numbers` are theirs in the source."""

    stream: ImageStream
    images: list[Any]
    values: NDArray[Any]
    numbers: NDArray[np.int64]
    draw: Draw | None

    @property
    def lengths(self) -> Integers:
        return np.ones(len(self.images), np.uint8)

    def batch(self, positions: Integers) -> Batch:
        images = [self.images[i] for i in positions]
        return self.stream.batch(images, self.values[positions], self.numbers[positions], self.draw)
