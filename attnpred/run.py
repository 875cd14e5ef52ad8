"""The run directory: create, describe, find, load. Nothing heavy is imported until a model is loaded."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout

from attnpred import __version__, compose, schema
from attnpred.config import Config
from attnpred.errors import UserError
from attnpred.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from attnpred.models.base import Model

PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchvision",
    "torchmetrics",
    "datasets",
    "tokenizers",
    "transformers",
    "numpy",
)


@dataclass(frozen=True)
class Run:
    """A directory that holds one run, complete: it can be moved or copied and still works."""

    path: Path

    @classmethod
    def create(cls, config: Config, overrides: list[str], directory: str | None = None) -> Run:
        """Makes the directory, exclusively, and describes the run in it. `directory` names it (a sweep's job does)."""
        run = cls(Path(directory) if directory else _fresh(config.output_dir, _name(config)))
        try:
            run.checkpoints.mkdir()
        except FileExistsError:
            raise UserError(f"{run.path}: holds a run already; every run needs a directory of its own") from None
        write_text(run.path / "config.yaml", compose.as_yaml(config))
        write_json(run.path / "run.json", {"status": "running", "overrides": overrides, "started": _now(), **_origin()})
        return run

    def rewrite(self, config: Config) -> None:
        """Takes another config in place of the one it was created with, before anything was trained."""
        write_text(self.path / "config.yaml", compose.as_yaml(config))

    @classmethod
    def find(cls, name: str) -> Run:
        """The run a user names by its directory."""
        run = cls(Path(name).expanduser())
        if not run.path.is_dir():
            raise UserError(f"{name}: no such directory; give a run directory, as train.py prints it")
        if not (run.path / "config.yaml").is_file():
            raise UserError(f"{name}: not a run directory (it holds no config.yaml); give one as train.py prints it")
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it is trained; no two processes train one run. A process that dies lets go of it."""
        lock = FileLock(self.path / ".lock", blocking=False)
        try:
            with lock:
                yield
        except Timeout:
            raise UserError(f"{self.path}: is being trained by another process; wait for it, or stop it") from None

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def config(self) -> Config:
        """The run's own config, held against the schema once more."""
        file = self.path / "config.yaml"
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise UserError(f"{file}: not valid YAML: {str(error).splitlines()[0]}; restore the file") from None
        if not isinstance(content, dict):
            raise UserError(f"{file}: holds no config; restore the file")
        return compose.checked(content)

    def description(self) -> dict[str, Any]:
        """What run.json says."""
        content: dict[str, Any] = read_json(self.path / "run.json")
        return content

    def describe(self, **changes: Any) -> None:
        """Adds to, or changes, what run.json says."""
        write_json(self.path / "run.json", {**self.description(), **changes})

    def finish(self, status: str, error: BaseException | None = None) -> None:
        failure = {"error": f"{type(error).__name__}: {error}"} if error else {}
        self.describe(status=status, ended=_now(), **failure)

    def go_on(self, *, keep_records: bool) -> None:
        """To be trained further: no longer ended; and where it begins anew, without what it recorded."""
        if not keep_records:
            for name in ("metrics.jsonl", "metrics.csv"):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        known = {key: value for key, value in self.description().items() if key not in ("ended", "error", "pruned")}
        resumed = [*known.get("resumed", []), _now()]
        write_json(self.path / "run.json", {**known, "status": "running", "resumed": resumed})

    @classmethod
    def unfinished(cls, config: Config, directory: str | None = None) -> Run | None:
        """The newest run of this config that is neither done nor being trained; in `directory`, where one is given."""
        if directory is not None:
            places = [Path(directory)]
        else:
            places = sorted((p.parent for p in Path(config.output_dir).expanduser().glob("*/*/run.json")), reverse=True)
        text = compose.as_yaml(config)
        for run in map(cls, places):
            try:
                same = (run.path / "config.yaml").read_text(encoding="utf-8") == text
                if same and run.description()["status"] != "done":
                    with run.held():
                        return run
            except (OSError, ValueError, UserError):
                continue  # half made, not a run, or at work
        return None

    def checkpoint(self) -> Path:
        """The weights to use: the best there are, else the last."""
        for name in ("best.ckpt", "last.ckpt", "before.ckpt"):
            if (self.checkpoints / name).is_file():
                return self.checkpoints / name
        if (when := self.description().get("pruned")) is not None:
            raise UserError(f"{self.path}: its checkpoints were pruned on {when[:10]}; use another, or train it again")
        raise UserError(f"{self.path}: holds no checkpoint yet; let the run reach its first validation")

    def give_up_checkpoints(self, files: list[Path]) -> None:
        """Deletes them; why they are missing is written down before."""
        self.describe(pruned=_now())
        for file in files:
            file.unlink(missing_ok=True)

    def load_model(self) -> Model:
        """The trained model, on the CPU and in evaluation mode, from this directory alone."""
        from attnpred.data import load_reader

        config = self.config()
        model_class = schema.load(config.model._target_)
        model: Model = model_class.restore(config.model, load_reader(self.path).spec, self.path)
        model.load_state_dict(self.weights())
        return model.eval()

    def weights(self) -> dict[str, Any]:
        """The trained model's tensors by name, on the CPU."""
        from attnpred import vault

        state = vault.load(self.checkpoint())["state_dict"]
        return {key.removeprefix("model."): value for key, value in state.items()}


def create_sweep(output_dir: str) -> Path:
    """A directory for the runs of one sweep."""
    return _fresh(output_dir, "sweep")


def _fresh(output_dir: str, name: str) -> Path:
    """Makes a directory that no other launch has, whatever else starts in the same second."""
    now = datetime.now()
    folder = Path(output_dir).expanduser() / now.strftime("%Y-%m-%d")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = folder / f"{now.strftime('%H-%M-%S')}-{name}-{secrets.token_hex(2)}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise UserError(
            f"output_dir={output_dir}: cannot be written ({error.strerror}); choose another directory"
        ) from None


def _name(config: Config) -> str:
    return f"{compose.file_of(config.model._target_)}-{config.data.name}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _origin() -> dict[str, Any]:
    """Where a run came from: host, code and the versions it stands on."""
    return {
        "host": platform.node(),
        "command": sys.argv,
        "python": platform.python_version(),
        "attnpred": __version__,
        "code": _code_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "cpus": os.cpu_count(),
    }


def _code_version() -> str | None:
    """The commit the code stands at, marked where files differ from it; None for an installed package."""
    if not (schema.PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "-C", str(schema.PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
