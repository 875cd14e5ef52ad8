"""A small distribution outside of the checkout: a model, a dataset, a task, a callback and an optimizer."""

import base64
import hashlib
import zipfile
from pathlib import Path

NAME, VERSION = "starpkg", "1.2"
FILES = {
    "starpkg/__init__.py": "",
    "starpkg/models/__init__.py": "",
    "starpkg/models/lstm.py": '''
"""A recurrent network whose states are pooled by attention."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from attnpred.config.options import ModelConfig
from attnpred.config.schema import option
from attnpred.contracts import Attention, ModelOutput
from attnpred.models.attention import Pool, normalise
from attnpred.models.base import Model


@dataclass(kw_only=True)
class LstmConfig(ModelConfig):
    accepts: ClassVar[tuple[str, ...]] = ("text",)
    width: int = option("Features of a token.", ge=2)


class Lstm(Model):
    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.embed = nn.Embedding(spec.input.vocab_size, config.width)
        self.lstm = nn.LSTM(config.width, config.width, batch_first=True)
        self.pool = Pool(config.width, "attention")
        self.head = nn.Linear(config.width, spec.answer.width)

    def entrance(self):
        return self.embed

    def levels(self):
        return [[self.embed], [self.lstm], [self.pool, self.head]]

    def forward(self, batch, *, need_attention=False, need_layers=True, choice=None):
        own = batch.input.own()
        states, _ = self.lstm(self.embed(batch.input.tokens))
        pooled, share = self.pool(states, own, need_weights=need_attention)
        attention = None if share is None else Attention(normalise(share, own), read=share)
        return ModelOutput(self.head(pooled), attention)
''',
    "starpkg/data/__init__.py": "",
    "starpkg/data/piped.py": '''
"""Texts behind a bar: `good|a fine film`, a line each."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from attnpred.data.row_source import RowSource
from attnpred.modalities.text.data import TextData, TextDataConfig


@dataclass(kw_only=True)
class PipedConfig(TextDataConfig):
    """Options of texts behind a bar."""


class PipedRows(RowSource):
    def rows(self, split):
        for line in Path(self.config.source).read_text().splitlines():
            label, _, text = line.partition("|")
            yield {"text": text, "label": label}


class Piped(TextData):
    @cached_property
    def source(self):
        return PipedRows(self.config)
''',
    "starpkg/tasks/__init__.py": "",
    "starpkg/tasks/margin.py": '''
"""Classification by a margin."""

from dataclasses import dataclass

import torch.nn.functional as F

from attnpred.config.schema import option
from attnpred.tasks.classification import Classification, ClassificationConfig


@dataclass(kw_only=True)
class MarginConfig(ClassificationConfig):
    margin: float = option("How far the right class should be ahead.", gt=0, default=1.0)


class Margin(Classification):
    def loss(self, output, batch):
        return F.multi_margin_loss(output.answer.float(), batch.targets["label"], margin=self.config.margin)
''',
    "starpkg/extras.py": '''
"""A callback that counts steps and can stop a run, and an optimizer that follows signs."""

import os
import signal
from dataclasses import dataclass

import torch
from pytorch_lightning import Callback

from attnpred.config.options import CallbackConfig
from attnpred.config.schema import option


@dataclass(kw_only=True)
class CountConfig(CallbackConfig):
    first: int = option("Number to count from.", ge=0)


class Count(Callback):
    def __init__(self, config):
        self.count = config.first

    def on_train_batch_end(self, trainer, learner, outputs, batch, batch_idx):
        self.count += 1
        if str(self.count) == os.environ.get("STOP_AT") and trainer.is_global_zero:
            signal.raise_signal(signal.SIGTERM)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr, weight_decay=0.0, scale=1.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "scale": scale})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(p.grad.sign(), alpha=-group["lr"] * group["scale"])
        return loss
''',
    "starpkg/conf/model/lstm.yaml": """
defaults:
  - override /optimizer@_global_.optimizer: signs

_target_: starpkg.models.lstm.Lstm
width: 8
""",
    "starpkg/conf/data/piped.yaml": """
_target_: starpkg.data.piped.Piped
name: piped
source: notes.piped
text_column: text
label_column: label
targets: {}
batch_size: 16
max_length: 24
tokenizer:
  kind: word
  vocab_size: 100
  lowercase: true
""",
    "starpkg/conf/task/margin.yaml": "_target_: starpkg.tasks.margin.Margin\nlabel_smoothing: 0.0\n",
    "starpkg/conf/callbacks/count.yaml": "count:\n  _target_: starpkg.extras.Count\n  first: 0\n",
    "starpkg/conf/optimizer/signs.yaml": """
defaults: [adamw]
name: starpkg.extras.Signs
lr: 1e-3
arguments:
  scale: 0.5
""",
}


def make_wheel(directory: Path) -> Path:
    """The distribution as pip installs it: an archive with its files, and what they are."""
    info = f"{NAME}-{VERSION}.dist-info"
    files = FILES | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[attnpred.packages]\n{NAME} = {NAME}\n",
    }
    lines = []
    wheel = directory / f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text.encode())}")
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return wheel
