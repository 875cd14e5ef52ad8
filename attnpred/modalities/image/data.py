"""Image data: its options and the dataset."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from attnpred.config.data_options import MOST_EXAMPLES, MOST_FEATURES, AugmentConfig, StreamedDataConfig
from attnpred.config.options import Modality
from attnpred.config.schema import Invalid, option
from attnpred.contracts import Batch, InputSpec, TargetSpec
from attnpred.data.base import Data, Loader
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.splits import Split, carving, source_split
from attnpred.errors import UserError
from attnpred.files import read_json, write_json
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.image.fit import Fit, Pixels, random_crops
from attnpred.modalities.image.loader import DecodingLoader
from attnpred.modalities.image.pixels import (
    FileStore,
    PixelStore,
    described,
    spread,
    statistics,
    write_files,
    write_pixels,
)
from attnpred.modalities.image.reader import ImageReader
from attnpred.modalities.image.streamed import ImageStream

# raised when the code makes other files of the same input
PIXELS_VERSION, FILES_VERSION, STATISTICS_VERSION = 6, 2, 5
CHUNK = 256  # images in memory at once


@dataclass(kw_only=True)
class ImageDataConfig(StreamedDataConfig):
    """Options of image data."""

    modality: ClassVar[Modality] = "image"

    image_column: str | None = option(
        "Column that holds the image, or its path in the source's directory. null finds it by name and content."
    )
    size: int | list[int] | None = option(
        "Size that images are brought to: one side, or [height, width]. null: they are all of one size already.",
        ge=1,
        le=MOST_FEATURES,
        default=None,
    )
    fit: Literal["crop", "pad", "stretch"] = option(
        "How: crop the middle, pad with black to keep the whole, or stretch to the new shape.", default="crop"
    )
    crop_share: float = option(
        "Share of the largest crop's sides that fit=crop keeps: 0.875 is 224 of 256.",
        gt=0,
        le=1,
        default=1.0,
    )
    channels: Literal[1, 3] | None = option(
        "Colours: 1 for grey, 3 for RGB. null: RGB where a size is given, else the images' own.", default=None
    )
    decode: Literal["once", "always"] = option(
        "once keeps pixels of the final size in the cache; always keeps the files there, and decodes them at each use.",
        default="once",
    )
    stream_buffer: int = option(
        "Streamed rows that are shuffled together, their files in memory where a table holds them; classes, mean and "
        "deviation are found in the first ones.",
        ge=1,
        le=MOST_EXAMPLES,
        default=2_000,
    )
    test_flip: bool = option(
        "Answer by the mean for an image and its mirror, in validation, test and prediction.", default=False
    )
    augment: AugmentConfig

    def check(self) -> None:
        super().check()
        if isinstance(self.size, list) and len(self.size) != 2:
            raise Invalid("size", "must be one side, or [height, width]")
        if self.decode == "always" and self.size is None:
            raise Invalid("decode", "needs data.size, to which images are brought; set it, or take data.decode=once")
        if self.evidence_column is not None and self.size is not None:
            raise Invalid("evidence_column", "holds places in images as they are; leave data.size=null")

    def fitted(self) -> Fit | None:
        """How images are brought to the size that is asked for; None where they stay as they are."""
        if self.size is None:
            return None
        height, width = self.size if isinstance(self.size, list) else (self.size, self.size)
        return Fit(height, width, self.fit, self.crop_share)

    def colours(self) -> int | None:
        return self.channels or (None if self.size is None else 3)

    def mirrors(self) -> bool:
        return self.test_flip

    def resizes(self) -> bool:
        return self.augment.small_share > 0


class ImageData(Data[ImageDataConfig, ImageReader, PixelStore | FileStore]):
    """A dataset of images, which are all of one size or are brought to one."""

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {self.reader.name: self.reader.spec}

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> Loader:
        if split == "train" and self.config.stream:
            return ImageStream(self).loader(seed=seed, rank=rank, world=world)
        reader, target, spec = self.reader, self.target, self.reader.spec
        store, rows, values = self._part(split)
        if store.shape != (spec.channels, spec.height, spec.width):
            name, option = source_split(self.config, split)
            found, known = described(store.shape), described((spec.channels, spec.height, spec.width))
            raise UserError(
                f"{option}={name}: its images are {found}, the model's are {known}; use images of that kind"
            )

        def batch(positions: Integers, read: Callable[[Integers], Pixels]) -> Batch:
            chosen = rows[positions].astype(np.int64)
            evidence = store.evidence(chosen)
            images = ImageInput(
                pixels=torch.from_numpy(read(chosen)),
                evidence=None if evidence is None else torch.from_numpy(evidence),
            )
            return Batch(
                inputs={reader.name: images}, targets=target.tensors(values[positions]), ids=torch.from_numpy(chosen)
            )

        def posed(positions: Integers) -> Batch:
            return self._posed(batch(positions, store.read))

        train = split == "train"
        options: dict[str, Any] = {
            "batch_size": self.config.batch_size if train else self.config.eval_batch_size,
            "train": train,
            "drop_last": train,
            "weights": self._draw_weights(split, values),
            "seed": seed,
            "rank": rank,
            "world": world,
        }
        alike = np.ones(len(rows), np.uint8)
        if isinstance(store, PixelStore):
            plain = partial(batch, read=store.read)
            return BatchLoader(plain if train else posed, alike, sampled=posed, **options)
        cropping = self.config.augment.random_crop

        def decoded(positions: Integers, epoch: int | None) -> Batch:
            if epoch is None:
                return posed(positions)
            if not cropping:
                return batch(positions, store.read)
            return batch(positions, lambda chosen: store.read(chosen, random_crops(chosen, seed, epoch, cropping)))

        return DecodingLoader(decoded, alike, **options)

    def augment(self, epochs: int, soften: Callable[[Any], Any] | None = None) -> Callable[[Batch, int], Batch] | None:
        config = self.config.augment
        if self.config.decode == "always" or self.config.stream:
            config = replace(config, random_crop=0.0)  # which the decoder has done
        if not config.any():
            return None
        from attnpred.modalities.image.augment import Augment

        return Augment(config, self.reader.spec, epochs, soften)

    def _make_target_spec(self) -> TargetSpec:
        return ImageStream(self).target_spec() if self.config.stream else super()._make_target_spec()

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the images that the model reads, where that is known already."""
        if "reader" not in vars(self):
            return None
        spec = self.reader.spec
        return spec.channels, spec.height, spec.width

    def _make_reader(self) -> ImageReader:
        key = {"version": STATISTICS_VERSION, "carving": carving(self.config), **self._image_key(), **self._key()}
        train, columns = source_split(self.config, "train"), self._columns() | self._target_columns()

        if self.config.stream:
            key["first"] = self.config.stream_buffer

        def build(directory: Path) -> None:
            if self.config.stream:
                images = ImageStream(self).first()
                first = next(images)
                (mean, std), shape = spread(image[None] for image in chain([first], images)), first.shape
            else:
                store, rows, _ = self._all_rows_of("train")
                (mean, std), shape = statistics(store, rows), store.shape
            write_json(directory / "statistics.json", {"mean": mean, "std": std, "shape": shape})

        found = read_json(
            self._entry("statistics", train, columns, key, "mean and deviation", build) / "statistics.json"
        )
        channels, height, width = found["shape"]
        spec = ImageSpec(
            channels=channels, height=height, width=width, mean=tuple(found["mean"]), std=tuple(found["std"])
        )
        return ImageReader(spec, self.config.fitted())

    def _image_key(self) -> dict[str, Any]:
        """The options that the pixels depend on; none where images stay as they are."""
        fit, channels = self.config.fitted(), self.config.colours()
        return {"fit": None if fit is None else asdict(fit), "channels": channels} if fit or channels else {}

    def _columns(self) -> dict[str, str]:
        return {"data.image_column": self._column}

    @property
    def _column(self) -> str:
        assert self.config.image_column is not None, "columns are settled before data are made"
        return self.config.image_column

    def _prepare(self, name: str, option: str) -> PixelStore | FileStore:
        config, columns = self.config, self._all_columns()
        fit, channels = config.fitted(), config.colours()
        always = config.decode == "always"

        def build(directory: Path) -> None:
            targets = self._collector(name, option)
            rows = self.source.chunks_told(name, option, columns, CHUNK)
            found: dict[str, Any] = {"reach": self.source.reach, "skip": config.on_bad_row == "skip"}
            place = f"{option}={name}"
            if always:
                write_files(directory, rows, targets, self._column, place, **found)
            else:
                evidence = self._evidence(name, option)
                found |= {"fit": fit, "channels": channels}
                write_pixels(directory, rows, targets, self._column, place, evidence, **found)

        what = f"split {name}"
        if always:
            assert fit is not None
            assert channels is not None
            key = {"version": FILES_VERSION, **self._key()}
            return FileStore(self._entry("files", (name, option), columns, key, what, build), fit, channels)
        key = {"version": PIXELS_VERSION, **self._image_key(), **self._key()}
        return PixelStore(self._entry("pixels", (name, option), columns, key, what, build))
