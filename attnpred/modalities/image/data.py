"""Image data: its options and the dataset."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from attnpred.config.data_options import AugmentConfig
from attnpred.config.options import DataConfig, Modality
from attnpred.config.schema import option
from attnpred.console.say import counted
from attnpred.contracts import Batch, InputSpec
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader, Integers
from attnpred.data.splits import Split, carving, source_split
from attnpred.errors import UserError
from attnpred.files import read_json, write_json
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.image.pixels import PixelStore, described, statistics, write_pixels
from attnpred.modalities.image.reader import ImageReader

# raised when the code makes other files of the same input
PIXELS_VERSION, STATISTICS_VERSION = 4, 3
CHUNK = 256  # images in memory at once


@dataclass(kw_only=True)
class ImageDataConfig(DataConfig):
    """Options of image data."""

    modality: ClassVar[Modality] = "image"

    image_column: str = option("Column that holds the image.")
    test_flip: bool = option(
        "Answer by the mean for an image and its mirror, in validation, test and prediction.", default=False
    )
    augment: AugmentConfig

    def mirrors(self) -> bool:
        return self.test_flip

    def resizes(self) -> bool:
        return self.augment.small_share > 0


class ImageData(Data[ImageDataConfig, ImageReader, PixelStore]):
    """A dataset of images, all of one size."""

    @property
    def specs(self) -> dict[str, InputSpec]:
        return {self.reader.name: self.reader.spec}

    def loader(self, split: Split, *, seed: int = 0, rank: int = 0, world: int = 1) -> BatchLoader:
        reader, target, spec = self.reader, self.target, self.reader.spec
        store, rows, values = self._part(split)
        if store.pixels.shape[1:] != (spec.channels, spec.height, spec.width):
            name, option = source_split(self.config, split)
            found, known = described(store.pixels.shape[1:]), described((spec.channels, spec.height, spec.width))
            raise UserError(
                f"{option}={name}: its images are {found}, the model's are {known}; use images of that kind"
            )

        def make(positions: Integers) -> Batch:
            chosen = rows[positions].astype(np.int64)
            evidence = store.evidence(chosen)
            images = ImageInput(
                pixels=torch.from_numpy(store.pixels[chosen]),
                evidence=None if evidence is None else torch.from_numpy(evidence),
            )
            return Batch(
                inputs={reader.name: images}, targets=target.tensors(values[positions]), ids=torch.from_numpy(chosen)
            )

        train = split == "train"
        return BatchLoader(
            make,
            np.ones(len(rows), np.uint8),
            batch_size=self.config.batch_size if train else self.config.eval_batch_size,
            train=train,
            drop_last=train,
            weights=self._draw_weights(split, values),
            seed=seed,
            rank=rank,
            world=world,
        )

    def augment(self, epochs: int, soften: Callable[[Any], Any] | None = None) -> Callable[[Batch, int], Batch] | None:
        if not any(asdict(self.config.augment).values()):
            return None
        from attnpred.modalities.image.augment import Augment

        return Augment(self.config.augment, self.reader.spec, epochs, soften)

    def _make_reader(self) -> ImageReader:
        store = self._store("train")
        key = {"version": STATISTICS_VERSION, "carving": carving(self.config), **self._key()}
        train, columns = source_split(self.config, "train"), self._columns() | self._target_columns()

        def build(directory: Path) -> None:
            _, rows, _ = self._rows_of("train")
            mean, std = statistics(store.pixels, rows)
            write_json(directory / "statistics.json", {"mean": mean, "std": std})

        found = read_json(
            self._entry("statistics", train, columns, key, "mean and deviation", build) / "statistics.json"
        )
        channels, height, width = store.pixels.shape[1:]
        return ImageReader(
            ImageSpec(
                channels=channels,
                height=height,
                width=width,
                mean=tuple(found["mean"]),
                std=tuple(found["std"]),
            )
        )

    def _columns(self) -> dict[str, str]:
        return {"data.image_column": self.config.image_column}

    def _prepare(self, name: str, option: str) -> PixelStore:
        config, columns = self.config, self._all_columns()

        def build(directory: Path) -> None:
            targets = self._collector(name, option)
            rows = counted(f"reading {name} of {config.source}", self.source.chunks(name, option, columns, CHUNK))
            evidence = self._evidence(name, option)
            reach, skip, place = self.source.reach, config.on_bad_row == "skip", f"{option}={name}"
            write_pixels(directory, rows, targets, config.image_column, place, evidence, reach=reach, skip=skip)

        key = {"version": PIXELS_VERSION, **self._key()}
        return PixelStore(self._entry("pixels", (name, option), columns, key, f"split {name}", build))
