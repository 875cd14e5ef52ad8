"""Packages as a user writes them, made in a directory of a test's own."""

from pathlib import Path

MODEL = """
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnpred.config.schema import Invalid, option
from attnpred.models.transformer import Transformer, TransformerConfig

from {name} import kinds
from {name}.kinds import *
from {name}.kinds import Kind

if TYPE_CHECKING:
    from attnpred.contracts import Batch

Width = int


def twice(x: torch.Tensor) -> int:
    return 2 * x


@dataclass(kw_only=True)
class NetConfig(TransformerConfig):
    kind: Kind = option("Which kind.", default="round")
    extra: Width = option("Features more.", ge=1, default=twice(kinds.SMALL))
    starred: "int" = option("By a star.", default=LARGE)

    def check(self) -> None:
        super().check()
        if self.extra > twice(LARGE):
            raise Invalid("extra", "is too much")

    def build(self, batch: Batch) -> torch.Tensor: ...


class Net(Transformer):
    def forward(self, batch, **how):
        if self.config.kind == "failing":
            raise ArithmeticError("their mistake")
        return super().forward(batch, **how)
"""
KINDS = """
from typing import Literal

import torch

Kind = Literal["round", "square", "failing"]
SMALL, LARGE = 3, 7
ZEROS = torch.zeros(3)
"""
EXTRAS = """
from dataclasses import dataclass

from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger

from attnpred.config.options import CallbackConfig, OtherLoggerConfig
from attnpred.config.schema import option


@dataclass(kw_only=True)
class CountConfig(CallbackConfig):
    start: int = option("Where counting begins.", ge=0, default=0)


class Count(Callback):
    def __init__(self, config):
        self.count = config.start

    def on_train_batch_end(self, *args, **named):
        self.count += 1

    def state_dict(self):
        return {{"count": self.count}}

    def load_state_dict(self, state):
        self.count = state["count"]


@dataclass(kw_only=True)
class LinesConfig(OtherLoggerConfig):
    file: str = option("Name of the file.", default="lines.txt")


class Lines(Logger):
    name, version = "lines", 0

    def __init__(self, config, directory):
        super().__init__()
        self.file = directory / config.file

    def log_metrics(self, metrics, step=None):
        with self.file.open("a") as stream:
            print(step, *sorted(metrics), file=stream)

    def log_hyperparams(self, params, *args, **named): ...


@dataclass(kw_only=True)
class OddConfig(CallbackConfig): ...


class Odd: ...
"""
OPTIM = """
import torch


class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0, size=1.0):
        if size < 0:
            raise ValueError(f"size={{size}} is below 0")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, size=size))

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad.sign(), alpha=-group["lr"] * group["size"])
        return loss


def halves(step, total, config):
    return 0.5**step


NUMBER = 3
"""
YAML = "defaults:\n  - transformer\n_target_: {name}.net.Net\nwidth: 16\ndepth: 1\nheads: 2\n"


def write(place: Path, name: str, **files: str) -> Path:
    """A package with a model, a callback, a logger and an optimizer; `files` stand beside those, by their names."""
    content = {
        "__init__.py": "",
        "net.py": MODEL,
        "kinds.py": KINDS,
        "extras.py": EXTRAS,
        "optim.py": OPTIM,
        f"conf/model/{name}_net.yaml": YAML,
        f"conf/callbacks/{name}_count.yaml": "count:\n  _target_: {name}.extras.Count\n",
        f"conf/logger/{name}_lines.yaml": "defaults: [none]\nothers:\n  lines:\n    _target_: {name}.extras.Lines\n",
    }
    for path, text in content.items():
        put(place / name / path, text.format(name=name))
    for path, text in files.items():
        put(place / name / path, text)
    return place / name


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def install(place: Path, name: str, version: str) -> None:
    """What pip leaves behind of a distribution that offers the package."""
    info = place / f"{name}-{version}.dist-info"
    put(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    put(info / "entry_points.txt", f"[attnpred.packages]\n{name} = {name}\n")
    put(info / "top_level.txt", f"{name}\n")
