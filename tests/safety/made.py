"""What an attacker brings, and the runs that are attacked."""

import hashlib
import json
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

QUICK = [
    "model.width=16",
    "model.depth=1",
    "trainer.max_steps=2",
    "trainer.limit_batches=2",
    "trainer.precision=32-true",
    "trainer.attention_examples=0",
    "logger=none",
]


@dataclass(frozen=True)
class Runs:
    text: Path
    image: Path
    source: Path
    cache: Path

    def copy(self, kind: str, place: Path) -> Path:
        return shutil.copytree(getattr(self, kind), place / f"{kind}-run")


class Touch:
    """Unpickled, it makes a file: what an attacker would do, and what a test can see."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.open, (str(self.file), os.O_CREAT)


def pickled(file: Path) -> bytes:
    return pickle.dumps(Touch(file))


def edit_config(run: Path, **changes: Any) -> None:
    """Sets dotted options of a run's config, as an attacker would in the file."""
    values = yaml.safe_load((run / "config.yaml").read_text())
    for name, value in changes.items():
        *groups, last = name.split("__")
        group = values
        for one in groups:
            group = group[one]
        group[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(values))


def edit_json(file: Path, change: Any) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def save_checkpoint(run: Path, content: Any) -> None:
    """Puts a checkpoint in place of all there are, with a checksum that fits."""
    for old in (run / "checkpoints").glob("*.ckpt"):
        old.unlink()
    file = run / "checkpoints" / "best.ckpt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    trust(run, file)
    trust(run, Path(shutil.copy(file, file.with_name("last.ckpt"))))


def trust(run: Path, file: Path) -> None:
    digest = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    (run / "checkpoints" / "checksums.json").write_text(json.dumps([digest]))


def files(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


def refused_sweep(sweeps, *arguments):
    assert sweeps.command(*map(str, arguments)) == 2, sweeps.err
    assert sweeps.err.count("\n") == 1, sweeps.err
    assert sweeps.out == ""
    return sweeps.err


def contents(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.is_symlink()}


def train_with(encoder, runs, tmp_path):
    place = [f"data.cache_dir={tmp_path / 'cache'}", f"output_dir={tmp_path / 'outputs'}", "logger=none"]
    data = ["data=imdb", f"data.source={runs.source}", "data.max_length=24", "trainer.attention_examples=0"]
    return ["train", "model=bert", f"model.source={encoder}", *data, *place]
