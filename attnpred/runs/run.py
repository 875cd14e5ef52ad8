"""The run directory: create, describe, find, load. Nothing heavy is imported until a model is loaded."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from attnpred.config import compose, packages, schema, untrusted
from attnpred.config.options import Config
from attnpred.console.secrets import scrub
from attnpred.data import cache
from attnpred.errors import Untrusted, UserError
from attnpred.files import path_of, read_json, write_json, write_text
from attnpred.runs import calibration, events, resuming, shared_weights
from attnpred.runs.described import described_by, digest, now_text, origin
from attnpred.version import __version__

if TYPE_CHECKING:
    from attnpred.data.base import Data
    from attnpred.modalities.reader import Reader
    from attnpred.models.base import Model
    from attnpred.tasks.base import Task

PRUNE = "prune"  # a file in the directory that asks the run to end, since it is not worth going on


@dataclass(frozen=True)
class Run:
    """A directory that holds one run, complete: it can be moved or copied and still works."""

    path: Path

    @classmethod
    def create(cls, config: Config, overrides: list[str], directory: str | None = None) -> Run:
        """Makes the directory, exclusively, and describes the run in it. `directory` names it (a sweep's job does)."""
        text = compose.as_yaml(config)
        known = {
            "status": "running",
            "overrides": overrides,
            "launched": digest(text),
            "started": now_text(),
            **origin(),
        }
        known["packages_used"] = packages.used(compose.plain(config))
        # from here on quickly: who is killed before run.json is there leaves a directory that nobody goes on with
        run = cls(Path(directory) if directory else fresh(config.output_dir, _name(config)))
        try:
            run.checkpoints.mkdir()
        except FileExistsError:
            raise UserError(f"{run.path}: holds a run already; every run needs a directory of its own") from None
        except OSError as error:
            with suppress(OSError):  # what is not empty is somebody's
                run.path.rmdir()
            raise closed(config.output_dir, error) from None
        try:
            write_text(run.path / "config.yaml", text)
            run._write(known)
        except OSError as error:
            shutil.rmtree(run.path, ignore_errors=True)
            raise closed(config.output_dir, error) from None
        return run

    def rewrite(self, config: Config) -> None:
        """Takes another config in place of the one it was created with: what was found, or what fits into memory."""
        write_text(self.path / "config.yaml", compose.as_yaml(config))

    @classmethod
    def find(cls, name: str) -> Run:
        """The run a user names by its directory. It may come from a stranger: nothing in it may lead out of it."""
        run = cls(shared_weights.directory_of(name) if name.startswith(shared_weights.HUB) else path_of(name))
        if not run.path.is_dir():
            raise UserError(f"{name}: no such directory; give a run directory, as train.py prints it")
        if not (run.path / "config.yaml").is_file():
            raise UserError(f"{name}: not a run directory (it holds no config.yaml); give one as train.py prints it")
        untrusted.refuse_ways_out(run.path, also=shared_weights.blobs(run.path))
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
        content = untrusted.read_yaml(file)
        if not isinstance(content, dict):
            raise UserError(f"{file}: holds no config; restore the file")
        untrusted.refuse_references(content, str(file))
        try:
            config = compose.checked(content)
        except Untrusted as error:
            raise Untrusted(f"{file}: {error.what}", error.package, self._made_with(error.package)) from None
        except UserError as error:
            raise self._dated(UserError(f"{file}: {error}")) from None
        # the file may be a stranger's, who would choose where to write, and let their data read here
        place = config.data.cache_dir if cache.is_ours(config.data.cache_dir) else cache.USUAL
        return replace(config, data=replace(config.data, cache_dir=place, paths_outside=False))

    def description(self) -> dict[str, Any]:
        """What run.json says."""
        file = self.path / "run.json"
        return described_by(read_json(file), file)

    def _made_with(self, package: str) -> str | None:
        """The version of a package that the run says it was made with."""
        try:
            version = self.description()["packages_used"][package]
        except (UserError, KeyError, TypeError):
            return None
        return version if isinstance(version, str) else None

    def _write(self, description: dict[str, Any]) -> None:
        write_json(self.path / "run.json", scrub(description))

    def _dated(self, error: UserError) -> UserError:
        """The error of a file here, and that the run is newer than this code where it is."""
        try:
            made_by = str(self.description()["attnpred"])
            newer = _version(made_by) > _version(__version__)
        except (UserError, KeyError, ValueError):
            newer = False
        why = f"; the run was made by attnpred {made_by}, this is {__version__}: install that one" if newer else ""
        return UserError(f"{error}{why}")

    def describe(self, **changes: Any) -> None:
        """Adds to, or changes, what run.json says."""
        self._write({**self.description(), **changes})

    def finish(self, status: str, error: BaseException | None = None) -> None:
        failure = {"error": f"{type(error).__name__}: {error}"} if error else {}
        self.describe(status=status, ended=now_text(), **failure)

    def go_on(self, *, keep_records: bool) -> None:
        """To be trained further: no longer ended; and where it begins anew, without what it recorded."""
        if not keep_records:
            for file in (self.path / "metrics.jsonl", self.path / "metrics.csv", *events.files(self.path)):
                file.unlink(missing_ok=True)
        known = {key: value for key, value in self.description().items() if key not in ("ended", "error", "pruned")}
        resumed = [*known.get("resumed", []), now_text()]
        self._write({**known, "status": "running", "resumed": resumed})

    @classmethod
    def unfinished(cls, config: Config, directory: str | None = None) -> Run | None:
        """The newest run of this config that is neither done nor being trained; in `directory`, where one is given."""
        if directory is not None:
            places = [Path(directory)]
        else:
            places = sorted(
                (p.parent for p in path_of(config.output_dir, "output_dir=").glob("*/*/run.json")), reverse=True
            )
        launched = digest(compose.as_yaml(config))
        for run in map(cls, places):
            try:
                cls.find(str(run.path))
                known = run.description()
                if known.get("launched") == launched and known["status"] != "done":
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
        if (self.path / shared_weights.FILE).is_file():  # as the hub has it
            return self.path / shared_weights.FILE
        if (when := self.description().get("pruned")) is not None:
            raise UserError(f"{self.path}: its checkpoints were pruned on {when[:10]}; use another, or train it again")
        if self.description()["status"] == "pruned":
            raise UserError(
                f"{self.path}: holds no checkpoint, its sweep ended it before its first validation; "
                f"go on with it by {resuming.command(self.path)}"
            )
        raise UserError(f"{self.path}: holds no checkpoint yet; let the run reach its first validation")

    def reader(self) -> Reader[Any, Any]:
        """What makes batches of new input, as in training."""
        from attnpred.modalities import load_reader

        try:
            found: Reader[Any, Any] = load_reader(self.path)
            return found
        except UserError as error:
            raise self._dated(error) from None

    def task(self) -> Task:
        """The task as it was when the weights were saved that are used."""
        from attnpred.runs.checkpoint_files import TASK, load

        config, file = self.config(), self.checkpoint()
        found = self.task_alone(config)
        try:
            found.load_state(load(file).get(TASK, found.state()))
        except ValueError as error:
            raise UserError(f"{file}: {error}; restore the file") from None
        return found.tempered(calibration.temperature(self.path))

    def task_alone(self, config: Config) -> Task:
        """The task without what it learned of validation."""
        from attnpred.modalities import load_target

        kind = schema.load(config.task._target_)
        try:
            found: Task = kind(config.task, load_target(self.path, kind.Spec))
            return found
        except UserError as error:
            raise self._dated(error) from None

    def data(self, config: Config) -> Data[Any, Any, Any]:
        """The run's dataset, or another that `config` names, as the trained model reads it."""
        from attnpred.modalities import load_target

        kind = schema.load(config.task._target_)
        target = kind.target(config.task, *config.target_columns())
        found: Data[Any, Any, Any] = schema.load(config.data._target_)(
            config.data, target, reader=self.reader(), target_spec=load_target(self.path, kind.Spec)
        )
        return found

    def load_model(self) -> Model:
        """The trained model, on the CPU and in evaluation mode, from this directory alone."""
        from attnpred.contracts import ModelSpec
        from attnpred.models import size

        config, reader, weights = self.config(), self.reader(), self.weights()
        spec = ModelSpec(reader.specs, self.task_alone(config).answer)
        if reader.modality not in config.model.accepts:
            raise UserError(f"{self.path}: its config and its specification are of different models; restore them")
        try:
            network = schema.load(config.model._target_)
            model: Model = size.made(lambda: network.restore(config.model, spec, self.path), config.model)
            model.load_state_dict(weights)
        except (RuntimeError, MemoryError, OverflowError) as error:
            reason = " ".join(str(error).split()[:40])
            raise self._dated(
                UserError(f"{self.path}: weights and config do not fit ({reason}); restore them")
            ) from error
        refuse_not_finite(model, self.checkpoint())
        model.home = self.path
        return calibration.cooled(model.eval(), self.path)

    def weights(self) -> dict[str, Any]:
        """The trained model's tensors by name, on the CPU."""
        from attnpred.runs import checkpoint_files

        state = checkpoint_files.load(self.checkpoint())["state_dict"]
        return {key.removeprefix("model."): value for key, value in state.items()}


def refuse_not_finite(model: Model, file: Path) -> None:
    """Raises for a NaN or infinite weight, which would spoil every answer. A buffer may be infinite, as masks are."""
    odd = [name for name, value in model.named_parameters() if not value.isfinite().all()]
    odd += [name for name, value in model.named_buffers() if value.isnan().any()]
    if odd:
        raise UserError(
            f"{file}: holds weights that are not finite numbers ({odd[0]} is one of {len(odd)}); use an earlier "
            "checkpoint of the run, or train it again"
        )


def fresh(output_dir: str, name: str) -> Path:
    """Makes a directory that no other launch has, whatever else starts in the same second."""
    now = datetime.now()
    folder = path_of(output_dir, "output_dir=") / now.strftime("%Y-%m-%d")
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
        raise closed(output_dir, error) from None


def closed(output_dir: str, error: OSError) -> UserError:
    return UserError(f"output_dir={output_dir}: cannot be written ({error.strerror}); choose another directory")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3])


def _name(config: Config) -> str:
    return f"{compose.file_of(config.model._target_)}-{config.data.name}"
