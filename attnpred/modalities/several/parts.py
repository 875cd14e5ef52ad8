"""What each of several inputs of a dataset is: one kind's columns, prepared and batched as that kind is alone."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.config.schema import option
from attnpred.contracts import Input
from attnpred.data.base import Data
from attnpred.data.batching import Integers
from attnpred.errors import UserError
from attnpred.modalities.image.batch import ImageInput
from attnpred.modalities.image.data import ImageData, ImageDataConfig
from attnpred.modalities.image.pixels import described
from attnpred.modalities.series.batch import SeriesInput
from attnpred.modalities.series.fitted import fitted
from attnpred.modalities.series.whole import WholeSeries, WholeSeriesConfig
from attnpred.modalities.text.data import TextData, TextDataConfig

GIVEN = "Is the whole dataset's, which gives it to each input."


class Part(Protocol):
    """Kinds of data that can be one of several inputs."""

    @abstractmethod
    def taken(self, store: Any, rows: NDArray[np.int64]) -> Input:
        """The rows' inputs as a batch holds them."""

    def lengths(self, store: Any, rows: Integers) -> Integers | None:
        """What batches go by; None where all are as long."""
        return None


@dataclass(kw_only=True)
class TextPartConfig(TextDataConfig):
    """Options of a text among several inputs."""

    name: str = option(GIVEN, default="text")
    source: str = option(GIVEN, default="-")
    label_column: str | list[str] | None = option(GIVEN, default=None)


class TextPart(TextData, Part):
    def taken(self, store: Any, rows: NDArray[np.int64]) -> Input:
        return self.reader.collate([store.row(row) for row in rows], store.evidence(rows))

    def lengths(self, store: Any, rows: Integers) -> Integers:
        return self.reader.lengths(store.lengths(rows))


@dataclass(kw_only=True)
class ImagePartConfig(ImageDataConfig):
    """Options of an image among several inputs."""

    name: str = option(GIVEN, default="image")
    source: str = option(GIVEN, default="-")
    label_column: str | list[str] | None = option(GIVEN, default=None)


class ImagePart(ImageData, Part):
    def taken(self, store: Any, rows: NDArray[np.int64]) -> Input:
        spec = self.reader.spec
        known = (spec.channels, spec.height, spec.width)
        if store.shape != known:
            raise UserError(
                f"data.source={self.config.source}: holds images of {described(store.shape)}, the model's are "
                f"{described(known)}; use images of that kind"
            )
        evidence = store.evidence(rows)
        return ImageInput(
            pixels=torch.from_numpy(store.read(rows)),
            evidence=None if evidence is None else torch.from_numpy(evidence),
        )


@dataclass(kw_only=True)
class SeriesPartConfig(WholeSeriesConfig):
    """Options of a series among several inputs."""

    name: str = option(GIVEN, default="series")
    source: str = option(GIVEN, default="-")
    label_column: str | list[str] | None = option(GIVEN, default=None)


class SeriesPart(WholeSeries, Part):
    def taken(self, store: Any, rows: NDArray[np.int64]) -> Input:
        spec = self.reader.spec
        return SeriesInput(values=torch.from_numpy(np.stack([fitted(store.row(int(row)), spec) for row in rows])))


def is_part(data: Data[Any, Any, Any]) -> bool:
    return isinstance(data, TextPart | ImagePart | SeriesPart)
