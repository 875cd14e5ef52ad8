"""Checkpoints on disk: whole or not there, with a checksum, and the one before kept."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning_fabric.plugins import CheckpointIO

from attnpred import files
from attnpred.console.say import say
from attnpred.errors import Interrupted, UserError
from attnpred.files import read_json, to_disk, write_json
from attnpred.runs import shared_weights

SHARED = Path(shared_weights.FILE).suffix
BEST, LAST, BEFORE = "best.ckpt", "last.ckpt", "before.ckpt"
SUMS = "checksums.json"
TASK = "task"  # in a checkpoint: what the task learned of validation
REMEMBERED = 8  # checksums: of the files there are, and of those that were about to be


class CheckpointFiles(CheckpointIO):
    """Writes beside the old file, brings that to the disk, and only then puts it in its place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                summed = Summed(file)
                torch.save(checkpoint, cast(BinaryIO, summed))  # of which only this much is used
                file.flush()
                os.fsync(file.fileno())
            _remember(path.parent, summed.sum.hexdigest())
            if path.name == LAST and path.is_file():
                path.replace(path.with_name(BEFORE))
            draft.replace(path)
            to_disk(path.parent)  # or a loss of power would undo the renaming
        except (OSError, RuntimeError) as error:  # torch turns some of the former into the latter
            if (signal := _interrupt(error)) is not None:
                raise signal from None
            raise UserError(_unwritable(path, checkpoint, error)) from error
        finally:
            files.remove(draft)

    def load_checkpoint(
        self, path: Any, map_location: Any = lambda storage, loc: storage, weights_only: bool | None = True
    ) -> dict[str, Any]:
        return load(Path(path), map_location)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _interrupt(error: BaseException | None) -> BaseException | None:
    """The signal that came while torch was writing, which complains of the file that it could not end then."""
    while error is not None and not isinstance(error, Interrupted | KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


class Summed:
    """A file that knows the checksum of what went into it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sum = hashlib.blake2b(digest_size=16)

    def write(self, data: Any) -> int:
        self.sum.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def load(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint's content: tensors and plain containers alone."""
    if path.suffix == SHARED:
        return shared_weights.load(path)
    if not whole(path):
        raise UserError(f"{path}: damaged, its checksum is another; restore it, or remove it to use the one before")
    try:
        content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path}: refused, it holds more than tensors and plain containers; do not use it") from None
    except Exception as error:  # of any type, by where the file is damaged
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: damaged ({reason}); restore it, or remove it to use the one before") from None
    state = content.get("state_dict") if isinstance(content, dict) else None
    named = isinstance(state, dict) and all(isinstance(k, str) and torch.is_tensor(v) for k, v in state.items())
    known = isinstance(content, dict) and isinstance(content.get(TASK, {}), dict)
    if not named or not known or not isinstance(content.get("global_step"), int):
        raise UserError(f"{path}: holds no weights of a run; restore it, or remove it to use the one before")
    return content


def newest(directory: Path) -> Path | None:
    """The last whole checkpoint to go on from, saying which are damaged; None where nothing was saved yet."""
    damaged: list[str] = []
    for name in (LAST, BEFORE, BEST):
        path = directory / name
        if not path.is_file():
            continue
        if whole(path):
            if damaged:
                say(f"{', '.join(damaged)}: damaged; going on from {name}")
            return path
        damaged.append(str(path))
    if damaged:
        raise UserError(f"{', '.join(damaged)}: damaged, and nothing else was saved; restore one of them")
    return None


def step(directory: Path) -> int | None:
    """The step that a run can go on from, read without the tensors; None where nothing was saved."""
    for path in (directory / LAST, directory / BEFORE, directory / BEST):
        try:
            return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["global_step"])
        except Exception:  # missing, damaged, or cut short: whoever goes on with the run says so
            continue
    return None


def whole(path: Path) -> bool:
    """Whether the file is one that was written here."""
    sums = path.parent / SUMS
    if not sums.is_file():
        return False
    known = read_json(sums)
    if not isinstance(known, list) or not all(isinstance(one, str) for one in known):
        raise UserError(f"{sums}: holds no list of checksums; restore the file")
    return _checksum(path) in known


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def tidy(directory: Path) -> None:
    """Removes what a killed process left half written, and what Lightning saves for SLURM beside ours."""
    files.tidy(directory)
    for other in directory.glob("hpc_ckpt_*.ckpt"):
        other.unlink()


def _remember(directory: Path, digest: str) -> None:
    """Before the file is in its place: whenever the process dies, whatever lies there is known."""
    sums = directory / SUMS
    known = read_json(sums) if sums.is_file() else []
    known = known if isinstance(known, list) else []
    there = [name for name in (LAST, BEFORE, BEST) if (directory / name).is_file()]
    if len(known) >= REMEMBERED:
        held = {_checksum(directory / name) for name in there}
        known = [one for one in known if one in held]
    write_json(sums, [*known, digest])


def _unwritable(path: Path, checkpoint: dict[str, Any], error: Exception) -> str:
    size = sum(t.nbytes for t in tensors(checkpoint))
    try:
        free = f", {shutil.disk_usage(path.parent).free / 2**20:,.0f} MiB are free"
    except OSError:
        free = ""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return (
        f"{path}: cannot be written ({reason}); it needs {size / 2**20:,.0f} MiB{free}. What was saved before is "
        "whole: make room and resume the run"
    )


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for one in value.values() for t in tensors(one)]
    return [t for one in value for t in tensors(one)] if isinstance(value, list | tuple) else []
