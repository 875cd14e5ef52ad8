"""What the files of groups say by themselves, without composing: which go together, and which have an option."""

from collections.abc import Iterator
from dataclasses import fields
from functools import reduce
from typing import Any

from omegaconf import OmegaConf

from attnpred.config import describe, hints, packages, schema, triple, untrusted
from attnpred.config.composed import from_files
from attnpred.config.folders import file_of, folders, group_options
from attnpred.config.options import Config, DataConfig, ModelConfig, TaskConfig
from attnpred.errors import UserError

TRIPLE: dict[str, type] = {"model": ModelConfig, "data": DataConfig, "task": TaskConfig}
MOST_NAMED = 4  # files of a group, in a hint
HELP = "; attnpred train --help lists what there is"


def check_triple(plain: dict[Any, Any], extra_dir: str | None) -> None:
    """Refuses a model, a dataset and a task that do not fit together, before their other options are looked at."""
    chosen = {group: plain.get(group) for group in TRIPLE}
    if not all(isinstance(one, dict) for one in chosen.values()):
        return  # `build` says what is wrong with them
    if not isinstance(plain["data"].get("targets"), dict | None):
        return
    model, data, task = (
        schema.options_of(plain[group].get("_target_"), f"{group}._target_", base) for group, base in TRIPLE.items()
    )
    shown = {
        "model": file_of(plain["model"]["_target_"]),
        "data": str(plain["data"].get("name")),
        "task": file_of(plain["task"]["_target_"]),
    }
    kinds = triple.kinds_of(data, plain["data"].get("targets"), plain["data"].get("label_column"))
    fault = triple.misfit(model, data, task, kinds)
    if fault is None:
        return
    able = [name for name, options in _all(fault.group, extra_dir) if fault.suits(options)]
    others = " ".join(f"{group}={shown[group]}" for group in fault.shown)
    remedy = f"; use {fault.group}={f' or {fault.group}='.join(able)}" if able else ""
    raise UserError(f"{others}: {fault.reason}{remedy}")


def require_kinds(data: DataConfig, extra_dir: str | None) -> None:
    """Refuses targets of kinds that no task reads: nobody would miss a column that is listed under a mistyped kind."""
    if data.targets:
        triple.require_kinds(data.targets, {options.reads for _, options in _all("task", extra_dir)})


def fitting(model: str, data: str, task: str, extra_dir: str | None = None) -> bool:
    """Whether these files of the three groups go together; one that is broken goes with nothing."""
    of_data = _described("data", data, extra_dir)
    try:
        of_model, of_task = _described("model", model, extra_dir), _described("task", task, extra_dir)
    except UserError:
        return False
    targets, label_column = (_value("data", data, key, extra_dir) for key in ("targets", "label_column"))
    return triple.misfit(of_model, of_data, of_task, triple.kinds_of(of_data, targets, label_column)) is None


def hint(wrong: str, plain: dict[Any, Any], extra_dir: str | None) -> str:
    """What may be meant by the name of an option that the config has not."""
    known = list(describe.paths(Config, plain))
    meant = hints.usual(wrong) or wrong
    if meant not in known and (others := _others_with(meant, extra_dir)):
        return others
    if (name := hints.nearest(wrong, known)) is None:
        return HELP
    word = hints.WORDS.get(str(reduce(lambda group, key: group[key], wrong.split("."), plain)).lower())
    return f"; did you mean {name}{f'={word}' if word and name in hints.CHOSEN_BY_WORD else ''}?"


def _others_with(path: str, extra_dir: str | None) -> str:
    """Of which other files of its group an option is one."""
    group, _, name = path.partition(".")
    if group not in TRIPLE:
        return ""
    able = [file for file, options in _all(group, extra_dir) if name in {one.name for one in fields(options)}]
    shown = ", ".join(f"{group}={file}" for file in able[:MOST_NAMED]) + (", …" if len(able) > MOST_NAMED else "")
    return f"; {path} is an option of {shown}" if able else ""


def _all(group: str, extra_dir: str | None) -> Iterator[tuple[str, Any]]:
    """The files of a group with their options classes, but for those that are broken: who chooses one is told."""
    for name in group_options(group, extra_dir):
        try:
            yield name, _described(group, name, extra_dir)
        except UserError:
            continue


def _described(group: str, name: str, extra_dir: str | None) -> Any:
    """The options class of a file of a group."""
    place = f"{group}={name}: _target_"
    return schema.options_of(_value(group, name, "_target_", extra_dir), place, TRIPLE[group])


def _value(group: str, name: str, key: str, extra_dir: str | None) -> Any:
    """What a file of the group says; the file alone mostly says it, which is quicker than composing."""
    for folder in folders(extra_dir):
        file = folder / group / f"{name}.yaml"
        content = untrusted.read_yaml(file) if file.is_file() else None
        if isinstance(content, dict) and (key in content or "defaults" not in content):
            return content.get(key)
    composed = from_files((f"{group}={name}",), extra_dir, packages.conf_folders())
    return OmegaConf.select(composed, f"{group}.{key}")
