"""A package with a kind of input of its own: waves, (batch, moments) of numbers, and a model that reads them."""

FILES = {
    "modalities/wave/__init__.py": "",
    "modalities/wave/reader.py": """
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from attnpred.contracts import Batch, Input, InputSpec
from attnpred.errors import BadInput
from attnpred.modalities.reader import Reader, Reading


@dataclass(frozen=True, kw_only=True)
class WaveSpec(InputSpec):
    removals: ClassVar[tuple[str, ...]] = ("mask", "zero")

    modality: str = "wave"
    moments: int
    mean: float


@dataclass(frozen=True, kw_only=True)
class WaveInput(Input):
    values: Tensor

    def __len__(self):
        return len(self.values)

    def own(self):
        return None

    def parts(self, grid):
        return self.values.shape[1]

    def evidence_on(self, grid):
        return self.evidence

    def described(self):
        return f"{len(self)} waves of {self.values.shape[1]} moments"

    def without(self, gone, how, spec, grid):
        return replace(self, values=self.values.masked_fill(gone, spec.mean if how == "mask" else 0.0))


class WaveReader(Reader):
    name = "wave"

    def __init__(self, spec):
        self.spec = spec

    @classmethod
    def load(cls, directory, spec, options):
        return cls(spec)

    def readings(self, inputs, size):
        for place, given in enumerate(inputs):
            try:
                values = torch.tensor([[float(number) for number in given.split(",")]])
            except ValueError:
                raise BadInput(f"{given}: is no wave; give numbers with commas between", place) from None
            batch = Batch(inputs={"wave": WaveInput(values=values)}, targets={}, ids=torch.tensor([place]))
            yield Reading([given], batch, self._describe)

    def _describe(self, attention):
        for shares in attention.importance.cpu().tolist():
            yield {"words": [f"moment {i}" for i in range(len(shares))], "attention": shares}

    def describe(self, found):
        return self._describe

    def shown(self, found, attention, describe):
        return [{"words": one["words"]} for one in describe(attention)]

    def maps(self, found, importance, attention, describe):
        return importance.tolist()

    def draw(self, examples, maps, captions):
        return np.zeros((8, 8 * len(examples), 3), np.uint8)

    def html(self, answer, caption):
        return "a wave"


SPEC, READER = WaveSpec, WaveReader
""",
    "modalities/wave/data.py": """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from PACKAGE.modalities.wave.reader import WaveInput, WaveReader, WaveSpec
from attnpred.config.options import DataConfig
from attnpred.contracts import Batch
from attnpred.data.base import Data
from attnpred.data.batching import BatchLoader
from attnpred.data.row_source import RowSource
from attnpred.data.store import Store, save_store


@dataclass(kw_only=True)
class WavesConfig(DataConfig):
    modality: ClassVar[str] = "wave"


class Rows(RowSource):
    def rows(self, split):
        random = np.random.default_rng(0)
        for _ in range(120):
            up = bool(random.integers(2))
            values = random.normal(size=6)
            values[2] = 3 if up else -3
            yield {"values": values.tolist(), "label": "up" if up else "down"}


class WaveStore(Store):
    def __init__(self, directory):
        super().__init__(directory)
        self.values = np.load(directory / "values.npy")


class Waves(Data):
    @property
    def source(self):
        return Rows(self.config)

    @property
    def specs(self):
        return {"wave": self.reader.spec}

    def _make_reader(self):
        store, rows, _ = self._rows_of("train")
        return WaveReader(WaveSpec(moments=store.values.shape[1], mean=float(store.values[rows].mean())))

    def _columns(self):
        return {"data.source": "values"}

    def _prepare(self, name, option):
        columns = self._all_columns()

        def build(directory):
            targets, values = self._collector(name, option), []
            for chunk, *target in self.source.chunks(name, option, columns, 50):
                values += chunk
                targets.add(target)
            np.save(directory / "values.npy", np.array(values, np.float32))
            save_store(directory, targets.finish())

        return WaveStore(self._entry("waves", (name, option), columns, self._key(), f"split {name}", build))

    def loader(self, split, *, seed=0, rank=0, world=1):
        store, rows, values = self._part(split)

        def make(positions):
            chosen = rows[positions].astype(np.int64)
            return Batch(
                inputs={"wave": WaveInput(values=torch.from_numpy(store.values[chosen]))},
                targets=self.target.tensors(values[positions]),
                ids=torch.from_numpy(chosen),
            )

        lengths, train = np.ones(len(rows), np.uint8), split == "train"
        return BatchLoader(make, lengths, batch_size=16, train=train, seed=seed, rank=rank, world=world)
""",
    "models/__init__.py": "",
    "models/moments.py": """
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from attnpred.config.options import ModelConfig
from attnpred.config.schema import option
from attnpred.contracts import Attention, ModelOutput
from attnpred.models.attention import Pool, normalise
from attnpred.models.base import Model


@dataclass(kw_only=True)
class MomentsConfig(ModelConfig):
    accepts: ClassVar[tuple[str, ...]] = ("wave",)
    width: int = option("Features of a moment.", ge=2)


class Enter(nn.Module):
    def __init__(self, spec, width):
        super().__init__()
        self.line = nn.Linear(1, width)
        self.place = nn.Parameter(torch.randn(spec.moments, width))

    def forward(self, values):
        return torch.tanh(self.line(values[..., None]) + self.place)


class Moments(Model):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.enter = Enter(spec.input, config.width)
        self.pool = Pool(config.width, "attention")
        self.head = nn.Linear(config.width, spec.answer.width)

    def entrance(self):
        return self.enter

    def levels(self):
        return [[self.enter], [self.pool, self.head]]

    def forward(self, batch, *, need_attention=False, need_layers=True, choice=None):
        pooled, share = self.pool(self.enter(batch.input.values), None, need_weights=need_attention)
        attention = None if share is None else Attention(normalise(share, None), read=share)
        return ModelOutput(self.head(pooled), attention)
""",
    "conf/model/moments.yaml": """
defaults:
  - override /optimizer@_global_.optimizer: adamw

_target_: PACKAGE.models.moments.Moments
width: 16
""",
    "conf/data/waves.yaml": """
_target_: PACKAGE.modalities.wave.data.Waves
name: waves
source: made up
label_column: label
targets: {}
""",
}
