"""Training that goes on from a run: which of its groups a new config takes over."""

from typing import Any

from attnpred.config import untrusted
from attnpred.config.folders import file_of, group_options
from attnpred.config.wanted import Wanted
from attnpred.errors import UserError
from attnpred.files import path_of

OPTION = "continue_from"
TAKEN = ("model", "task")
INSTEAD = "experiment"  # a group whose files say what the model is


def taken(wanted: Wanted, extra_dir: str | None) -> dict[str, Any]:
    """The run's own options of model and task, where the command line chooses none; `wanted` then chooses their files,
    which bring what usually goes with them, such as an optimizer.
    """
    try:
        return _taken(wanted, extra_dir)
    except UserError:
        wanted.spoiled |= set(TAKEN)  # what they say cannot be checked then
        raise


def _taken(wanted: Wanted, extra_dir: str | None) -> dict[str, Any]:
    name = next((one.value() for one in reversed(wanted.values) if one.key_or_group == OPTION), None)
    chosen = {choice.partition("=")[0] for choice in wanted.choices}
    if not isinstance(name, str) or INSTEAD in chosen:
        return {}
    if name.startswith("hub:"):
        if "model" not in chosen:
            raise UserError(
                f"{OPTION}={name}: choose its model and task too; a run on this machine tells them by itself"
            )
        return {}
    file = path_of(name, f"{OPTION}=") / "config.yaml"
    if not file.is_file():
        raise UserError(f"{OPTION}={name}: no run directory; give one, as train.py prints it")
    content = untrusted.read_yaml(file)
    untrusted.refuse_references(content, str(file))
    found: dict[str, Any] = {}
    for group in TAKEN:
        options = content.get(group) if isinstance(content, dict) else None
        if not isinstance(options, dict) or not isinstance(options.get("_target_"), str):
            raise UserError(f"{file}: says nothing of the run's {group}; restore the file")
        if group not in chosen:
            found[group] = {**options, "init_from": None} if group == "model" else options
            if (file_name := file_of(options["_target_"])) in group_options(group, extra_dir):
                wanted.choices.insert(0, f"{group}={file_name}")
    return found
