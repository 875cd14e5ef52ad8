"""A run in the layout of the Hugging Face hub: safetensors, config, tokenizer, model card; and sent there."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.errors import UserError
from attnpred.files import read_json, write_json, write_text
from attnpred.inference.export import card
from attnpred.inference.export.plain import without_places
from attnpred.modalities.reader import save_reader
from attnpred.runs import calibration, shared_weights
from attnpred.runs.checkpoint_files import TASK, load
from attnpred.runs.run import Run
from attnpred.version import __version__

NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
KEPT = ("status", "overrides", "attnpred", "packages_used")  # of run.json: no host, no path, no command line


def write(run: Run, config: Config, directory: Path) -> None:
    """Makes the folder, whole or not at all. It is a run directory: every verb that reads one reads it."""
    if directory.exists():
        raise UserError(f"{directory}: is there already; remove it, or give another by --out")
    model, task = run.load_model(), run.task()
    draft = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        save_reader(draft, run.reader(), task.spec)
        model.save_assets(draft)
        shared_weights.save(draft, run.weights(), load(run.checkpoint()).get(TASK, {}))
        write_text(draft / "config.yaml", compose.as_yaml(without_places(config)))
        write_json(draft / "config.json", _described(config, task.names()))
        write_json(draft / "run.json", {**_about(run), "overrides": []})
        for name in ("metrics.json", calibration.FILE):
            if (run.path / name).is_file():
                write_json(draft / name, read_json(run.path / name))
        write_text(draft / "README.md", card.text(run, config, None, {}))
        draft.replace(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _described(config: Config, names: list[str]) -> dict[str, Any]:
    """What the hub itself looks at."""
    return {
        "model_type": "attnpred",
        "attnpred": __version__,
        "model": compose.file_of(config.model._target_),
        "task": compose.file_of(config.task._target_),
        "id2label": {str(number): name for number, name in enumerate(names)},
    }


def _about(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.description().items() if key in KEPT}


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(f"{name}: no name of a repository; give ORG/NAME")


def token() -> str | None:
    """The user's, as the hub's own tools keep it."""
    from huggingface_hub import get_token

    return get_token()


def send(directory: Path, name: str, *, private: bool) -> str:
    """Uploads the folder; returns its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token())
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(folder_path=directory, repo_id=name, commit_message="A run of attnpred")
    except HfHubHTTPError as error:
        raise UserError(f"{name}: the hub refuses: {' '.join(str(error).split())[:200]}") from None
    except Exception as error:  # its HTTP library's own errors, which differ between versions
        raise UserError(
            f"{name}: the hub cannot be reached ({type(error).__name__}); {directory} is whole: send it when it can"
        ) from error
    return str(address)
