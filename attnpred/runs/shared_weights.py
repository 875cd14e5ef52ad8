"""A run as the Hugging Face hub has it: a directory with weights in safetensors, found by `hub:ORG/NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnpred.errors import UserError
from attnpred.files import plain_json
from attnpred.machine import hub

HUB = "hub:"  # before the name of a run on the hub
FILE = "model.safetensors"
# What a run is made of there; a stranger's repository may hold anything else
WANTED = ("*.json", "*.yaml", "*.safetensors", "*.md")


def save(directory: Path, weights: dict[str, Any], task: dict[str, Any]) -> None:
    """`task`: what the task learned of validation, which stands in the file's head."""
    import json

    from safetensors.torch import save_file

    # two names of one tensor are two tensors here
    tensors = {name: value.detach().clone().contiguous() for name, value in weights.items()}
    save_file(tensors, directory / FILE, {"format": "pt", "task": json.dumps(task)})


def load(file: Path) -> dict[str, Any]:
    """As a checkpoint's content: weights, and what the task learned."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            told = plain_json((opened.metadata() or {}).get("task", "{}"))
            weights = {f"model.{name}": opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: no weights can be read from there ({reason}); restore the file") from None
    if not isinstance(told, dict):
        raise UserError(f"{file}: its head tells of no task; restore the file")
    return {"state_dict": weights, "global_step": 0, **({"task": told} if told else {})}


def directory_of(name: str) -> Path:
    """The directory of `hub:ORG/NAME`: a local one, the hub's cache, or fetched from the hub."""
    wanted = name.removeprefix(HUB)
    local = hub.locate_model(wanted, place=HUB.rstrip(":"))
    if local is not None:
        return local
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(wanted, allow_patterns=list(WANTED), local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise UserError(f"{name}: no name of a repository; give hub:ORG/NAME") from None
    revision = hub.require(wanted, None, place=HUB.rstrip(":"), kind="model")
    return Path(snapshot_download(wanted, revision=revision, allow_patterns=list(WANTED)))


def blobs(directory: Path) -> tuple[Path, ...]:
    """Where links of a directory in the hub's cache lead; nowhere for any other."""
    if directory.parent.name != "snapshots":
        return ()
    from huggingface_hub.constants import HF_HUB_CACHE

    own = directory.resolve().parent.parent / "blobs"
    return (own,) if own.is_relative_to(Path(HF_HUB_CACHE).resolve()) else ()
