"""Image data: its options, the reader that makes batches of files and pixels of attention, and the dataset."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from attnpred.config.options import AugmentConfig, DataConfig, Modality
from attnpred.config.schema import option
from attnpred.console.say import counted
from attnpred.contracts import Attention, ImageBatch, ImageSpec
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.labels import LabelColumn
from attnpred.data.splits import Split, carving, source_split
from attnpred.errors import BadInput, UserError
from attnpred.machine.files import read_json, write_json
from attnpred.modalities.image.pixels import (
    Pixels,
    PixelStore,
    as_pixels,
    described,
    in_colours,
    open_image,
    statistics,
    write_pixels,
)
from attnpred.modalities.reader import Reading, load_spec, save_spec

# raised when the code makes other files of the same input
PIXELS_VERSION, STATISTICS_VERSION = 2, 1
CHUNK = 256  # images in memory at once
SMALL_FILE = 10_000  # bytes


@dataclass(kw_only=True)
class ImageDataConfig(DataConfig):
    """Options of image data."""

    modality: ClassVar[Modality] = "image"

    image_column: str = option("Column that holds the image.")
    test_flip: bool = option("Answer by the mean for an image and its mirror, in validation, test and prediction.")
    augment: AugmentConfig

    def mirrors(self) -> bool:
        return self.test_flip

    def resizes(self) -> bool:
        return self.augment.small_share > 0


class ImageReader:
    """Makes batches of image files, and pixels' attention of regions'."""

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec

    def save(self, directory: Path) -> None:
        save_spec(directory, self.spec)

    @classmethod
    def load(cls, directory: Path) -> "ImageReader":
        spec, _ = load_spec(directory)
        assert isinstance(spec, ImageSpec)
        return cls(spec)

    def readings(self, inputs: Iterable[str], size: int) -> Iterator[Reading[ImageBatch]]:
        """Batches of `size` image files, in the order given, brought to the model's size and colours."""
        stream, start = iter(inputs), 0
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            while paths := list(islice(stream, size)):
                # threads take longer over small files than one alone, since they wait for one another
                together = _bytes(paths[0]) > SMALL_FILE
                found = list((threads.map if together else map)(self._read, paths))
                good = list(takewhile(lambda one: not isinstance(one, str), found))
                if good:
                    pixels = torch.from_numpy(np.stack(good))
                    ids = torch.arange(start, start + len(good))
                    batch = ImageBatch(labels=None, ids=ids, pixels=pixels)
                    yield Reading(paths[: len(good)], batch, self._explain)
                if len(good) < len(paths):
                    raise BadInput(str(found[len(good)]), start + len(good))
                start += len(paths)

    def describe(self, batch: ImageBatch) -> Callable[[Attention], Iterator[dict[str, Any]]]:
        """As a reading's `explain`, for a batch of the data."""
        return self._explain

    def _read(self, path: str) -> Pixels | str:
        """The file's pixels, or what is wrong with it."""
        from PIL import Image

        try:
            size = (self.spec.width, self.spec.height)
            # colours first: a palette's numbers can't be averaged
            image = in_colours(open_image(path), self.spec.channels)
            return as_pixels(
                image if image.size == size else image.resize(size, Image.Resampling.BILINEAR), self.spec.channels
            )
        except (OSError, ValueError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else f"no image that can be read ({error})"
            return f"{path}: {reason}; give the path of an image file"

    def _explain(self, attention: Attention) -> Iterator[dict[str, Any]]:
        """Attention a pixel of the model's input, from its regions'."""
        assert attention.grid is not None, "an image's importance needs the grid of its regions"
        regions = attention.importance.cpu().double().unflatten(1, (1, *attention.grid))
        size = (self.spec.height, self.spec.width)
        pixels = F.interpolate(regions, size, mode="bilinear", align_corners=False)[:, 0]  # (batch, height, width)
        for one in (pixels if attention.signed else pixels / pixels.sum((1, 2), keepdim=True)).numpy():
            yield {"size": list(size), "attention": one.tolist()}


def _bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


class ImageData(Data[ImageDataConfig, ImageReader, PixelStore]):
    """A dataset of images, all of one size."""

    @property
    def spec(self) -> ImageSpec:
        return self.reader.spec

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader[ImageBatch]:
        spec = self.spec
        store, rows, labels = self._part(split, spec.classes)
        if store.pixels.shape[1:] != (spec.channels, spec.height, spec.width):
            name, option = source_split(self.config, split)
            found, known = described(store.pixels.shape[1:]), described((spec.channels, spec.height, spec.width))
            raise UserError(
                f"{option}={name}: its images are {found}, the model's are {known}; use images of that kind"
            )

        def make(positions: Integers) -> ImageBatch:
            chosen = rows[positions].astype(np.int64)
            evidence = store.evidence(chosen)
            return ImageBatch(
                labels=torch.from_numpy(labels[chosen].astype(np.int64)),
                ids=torch.from_numpy(chosen),
                pixels=torch.from_numpy(store.pixels[chosen]),
                evidence=None if evidence is None else torch.from_numpy(evidence),
            )

        train = split == "train"
        return BatchLoader(
            make,
            np.ones(len(rows), np.uint8),
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            train=train,
            drop_last=train,
            seed=seed,
            rank=rank,
            world=world,
        )

    def augment(self, epochs: int) -> Callable[[ImageBatch, int], ImageBatch] | None:
        if not any(asdict(self.config.augment).values()):
            return None
        from attnpred.modalities.image.augment import Augment

        return Augment(self.config.augment, self.spec, epochs)

    def _make_reader(self) -> ImageReader:
        store = self._store("train")
        key = {"version": STATISTICS_VERSION, "carving": carving(self.config), **self._skipping()}
        train, columns = source_split(self.config, "train"), self._columns()

        def build(directory: Path) -> None:
            _, rows, _ = self._part("train", tuple(store.classes))
            mean, std = statistics(store.pixels, rows)
            write_json(directory / "statistics.json", {"mean": mean, "std": std})

        found = read_json(
            self._entry("statistics", train, columns, key, "mean and deviation", build) / "statistics.json"
        )
        channels, height, width = store.pixels.shape[1:]
        return ImageReader(
            ImageSpec(
                classes=tuple(store.classes),
                channels=channels,
                height=height,
                width=width,
                mean=tuple(found["mean"]),
                std=tuple(found["std"]),
            )
        )

    def _columns(self) -> dict[str, str]:
        return {"data.image_column": self.config.image_column, "data.label_column": self.config.label_column}

    def _prepare(self, name: str, option: str) -> PixelStore:
        config, columns = self.config, self._all_columns()

        def build(directory: Path) -> None:
            labels = LabelColumn(config.label_column, self.source.class_names(name, option, config.label_column))
            rows = counted(f"reading {name} of {config.source}", self.source.chunks(name, option, columns, CHUNK))
            evidence = self._evidence(name, option)
            skip = config.on_bad_row == "skip"
            write_pixels(directory, rows, labels, config.image_column, f"{option}={name}", evidence, skip=skip)

        key = {"version": PIXELS_VERSION, **self._skipping()}
        return PixelStore(self._entry("pixels", (name, option), columns, key, f"split {name}", build))
