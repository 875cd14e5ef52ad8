"""From overrides to a checked config. Hydra puts the files together; every value is then held against the schema."""

import os
import re
import typing
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from attnpred.config import config_dir, packages, schema, triple, untrusted
from attnpred.config.folders import CONF, folders, group_options
from attnpred.config.options import (
    Config,
    DataConfig,
    ExplainerConfig,
    LauncherConfig,
    ModelConfig,
    SweeperConfig,
    TaskConfig,
)
from attnpred.config.overrides import SEVERAL, choice_of, parse, steers
from attnpred.console.secrets import scrub
from attnpred.errors import UserError

APART = "explainer"  # a group that commands choose from which read a run; no part of its config
ENGINE = ("launcher", "sweeper")  # what of Hydra's own config is used
OURS = re.compile(rf"hydra[./]({'|'.join(ENGINE)})\b")
ENGINE_SHOWN = "hydra/launcher, hydra/sweeper, hydra.launcher.… and hydra.sweeper.…"
# Classes by the names that they had in earlier versions, whose runs are still read
RENAMED = {
    "attnpred.data.image.ImageData": "attnpred.modalities.image.data.ImageData",
    "attnpred.data.text.TextData": "attnpred.modalities.text.data.TextData",
}
TRIPLE: dict[str, type] = {"model": ModelConfig, "data": DataConfig, "task": TaskConfig}
MULTIRUN_HINT = "several values make a sweep; add -m, or quote a list as [a,b]"


def compose(overrides: list[str], extra_dir: str | None = None) -> Config:
    """The config that the overrides describe; raises UserError for whatever is wrong with them or with a file.

    `extra_dir` is a further directory of config files, searched after the shipped ones and those of packages.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: {MULTIRUN_HINT}")
    return _compose(parsed, extra_dir)


def engine(overrides: list[str], extra_dir: str | None = None) -> tuple[LauncherConfig, SweeperConfig]:
    """What runs a sweep's jobs, and what decides which they are; the values that are swept over play no part."""
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override() and steers(override):
            raise UserError(f"{override.input_line}: holds for the whole sweep; give one value")
    return _engine(_merged([o for o in parsed if not o.is_sweep_override()], extra_dir)["hydra"])


def _compose(parsed: list[Override], extra_dir: str | None) -> Config:
    values = _merged(parsed, extra_dir)
    _engine(values.pop("hydra"))
    config = checked(values, extra_dir)
    _require_kinds(config.data, extra_dir)
    return config


def _engine(values: Any) -> tuple[LauncherConfig, SweeperConfig]:
    kinds = {"launcher": LauncherConfig, "sweeper": SweeperConfig}
    names = [name for kind in kinds for name in schema.paths(kinds[kind], values[kind], f"hydra.{kind}")]
    launcher, sweeper = (schema.build(kinds[kind], values[kind], f"hydra.{kind}", names) for kind in kinds)
    return launcher, sweeper


def _merged(parsed: list[Override], extra_dir: str | None) -> dict[str, Any]:
    """What the files and overrides say, as plain containers; of Hydra's own part, launcher and sweeper."""
    folders(extra_dir)
    choices: list[str] = []
    values = []
    for override in parsed:
        line = str(override.input_line)
        key = override.key_or_group
        if override.is_delete():
            raise UserError(f"{line}: options cannot be deleted; set one to null, or choose another file of its group")
        if override.is_add():
            raise UserError(f"{line}: every option exists already, so + adds nothing; write {line.lstrip('+')}")
        if steers(override) and not OURS.match(key):
            raise UserError(f"{line}: cannot be set; of Hydra's own options there are {ENGINE_SHOWN}")
        names = group_options(key, extra_dir)
        if not names and key != SEVERAL:
            values.append(override)
            continue
        choice = choice_of(key, override.value(), names)
        # of none, as in experiment=null, Hydra wants to hear nothing
        choices = [*choices, choice] if choice else [one for one in choices if not one.startswith(f"{key}=")]
    try:
        config = _from_files(tuple(choices), extra_dir, packages.conf_folders()).copy()
        OmegaConf.set_struct(config, False)
        for override in values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        _add_defaults(config)
        untrusted.refuse_functions(OmegaConf.to_container(config))
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        reason = (str(error.msg) if error.msg else str(error)).splitlines()[0]
        raise UserError(f"{where}{reason}; mend the interpolation or set the option") from None
    assert isinstance(plain, dict)
    return typing.cast(dict[str, Any], plain)


def _add_defaults(config: DictConfig) -> None:
    """Gives options that no file lists their usual values, so that others can refer to them."""
    for group, base in TRIPLE.items():
        chosen = config.get(group)
        target = chosen.get("_target_") if isinstance(chosen, DictConfig) else None
        if isinstance(target, str):
            for name, value in schema.defaults(schema.options_of(target, f"{group}._target_", base)).items():
                if name not in chosen and isinstance(value, str | int | float | list | dict | None):
                    chosen[name] = value


def changed(config: Config, overrides: list[str], allowed: tuple[str, ...]) -> Config:
    """A run's own config with some options of the `allowed` groups set anew; anything else would be another run."""
    content = OmegaConf.create(plain(config))
    for override in parse(overrides):
        key = override.key_or_group
        if key.partition(".")[0] not in allowed or "." not in key:
            groups = " and ".join(f"{name}.…" for name in allowed)
            raise UserError(f"{override.input_line}: cannot be changed for a trained run; only {groups} can")
        if override.is_sweep_override() or override.is_delete() or override.is_add():
            raise UserError(f"{override.input_line}: write one plain value, key=value")
        OmegaConf.update(content, key, override.value(), merge=True)
    values = OmegaConf.to_container(content)
    assert isinstance(values, dict)
    untrusted.refuse_references(values, "override")
    found = checked(values)
    if found.data.targets != config.data.targets:
        _require_kinds(found.data, None)
    return found


def checked(plain: dict[Any, Any], extra_dir: str | None = None) -> Config:
    """Holds a plain mapping, from composition or from a run directory, against the schema."""
    _rename(plain)
    _check_triple(plain, extra_dir)
    config: Config = schema.build(Config, plain, names=list(schema.paths(Config, plain)))
    return config


def _rename(plain: dict[Any, Any]) -> None:
    """Gives the classes that a config names, as runs of earlier versions have them, their names of today."""
    for group in plain.values():
        target = group.get("_target_") if isinstance(group, dict) else None
        if isinstance(target, str) and target in RENAMED:
            group["_target_"] = RENAMED[target]


@cache
def _from_files(choices: tuple[str, ...], extra_dir: str | None, trusted: tuple[Path, ...]) -> DictConfig:
    """What the files say, and of Hydra's own part what is used. `trusted` are packages' directories of files."""
    composed = _composed(choices, [*trusted, *([Path(extra_dir)] if extra_dir else [])])
    if extra_dir:
        pairs = [choice.partition("=") for choice in choices if choice.startswith("hydra/")]
        engine = tuple(f"{group}={name}" for group, _, name in pairs if name in group_options(group))
        config_dir.refuse_reach(composed, _composed(engine, list(trusted)), extra_dir)
    with open_dict(composed):
        composed.hydra = {part: composed.hydra[part] for part in ENGINE}
    return composed


def _composed(choices: tuple[str, ...], further: list[Path]) -> DictConfig:
    search = [config_dir.search_path(further)] if further else []
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            _forget_namesakes()
            return hydra_compose("config", overrides=[*choices, *search], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise UserError(f"{' '.join(choices) or 'config.yaml'}: {reason}") from None


def _forget_namesakes() -> None:
    """Hydra and its plugins bring launchers and sweepers of the names of ours, and would hold ours to their options."""
    for part in ENGINE:
        registered = ConfigStore.instance().repo["hydra"][part]
        for name in group_options(f"hydra/{part}"):
            registered.pop(f"{name}.yaml", None)


def explainer(name: str) -> ExplainerConfig:
    """The options of an explainer, by its file's name."""
    known = group_options(APART)
    if name not in known:
        raise UserError(
            f"--explainer {name}: no such explainer; use one of {', '.join(known)}{schema.suggest(name, known)}"
        )
    files = (folder / APART / f"{name}.yaml" for folder in folders(None))
    values = untrusted.read_yaml(next(file for file in files if file.is_file()))
    found: ExplainerConfig = schema.build(ExplainerConfig, values, APART)
    return found


def groups(extra_dir: str | None = None) -> list[str]:
    """Every group that a config is composed of."""
    names = {entry.name for folder in folders(extra_dir) for entry in os.scandir(folder) if entry.is_dir()}
    names |= {f"hydra/{part}" for part in ENGINE}
    return sorted(name for name in names - {APART} if group_options(name, extra_dir))


def as_yaml(config: Config) -> str:
    """As it is kept, without secrets and anybody's home: composed again, it gives the same run."""
    return yaml.safe_dump(scrub(plain(config)), sort_keys=False, allow_unicode=True)


def plain(config: Config) -> dict[str, Any]:
    """The config as plain containers, to be written to the run directory; `checked` reads it back."""
    return asdict(config)


def _check_triple(plain: dict[Any, Any], extra_dir: str | None) -> None:
    """Refuses a model, a dataset and a task that do not fit together, before their other options are looked at."""
    chosen = {group: plain.get(group) for group in ("model", "data", "task")}
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
    able = [
        name for name in group_options(fault.group, extra_dir) if fault.suits(_described(fault.group, name, extra_dir))
    ]
    others = " ".join(f"{group}={shown[group]}" for group in fault.shown)
    remedy = f"; use {fault.group}={f' or {fault.group}='.join(able)}" if able else ""
    raise UserError(f"{others}: {fault.reason}{remedy}")


def _require_kinds(data: DataConfig, extra_dir: str | None) -> None:
    """Refuses targets of kinds that no task reads: nobody would miss a column that is listed under a mistyped kind."""
    if not data.targets:
        return
    triple.require_kinds(
        data.targets, {_described("task", name, extra_dir).reads for name in group_options("task", extra_dir)}
    )


def _described(group: str, name: str, extra_dir: str | None) -> Any:
    """The options class of a file of a group."""
    place = f"{group}={name}: _target_"
    return schema.options_of(_value(group, name, "_target_", extra_dir), place, TRIPLE[group])


def fitting(model: str, data: str, task: str, extra_dir: str | None = None) -> bool:
    """Whether these files of the three groups go together."""
    named = (("model", model), ("data", data), ("task", task))
    of_model, of_data, of_task = (_described(group, name, extra_dir) for group, name in named)
    targets, label_column = (_value("data", data, key, extra_dir) for key in ("targets", "label_column"))
    return triple.misfit(of_model, of_data, of_task, triple.kinds_of(of_data, targets, label_column)) is None


def _value(group: str, name: str, key: str, extra_dir: str | None) -> Any:
    """What a file of the group says; the file alone mostly says it, which is quicker than composing."""
    for folder in folders(extra_dir):
        file = folder / group / f"{name}.yaml"
        content = untrusted.read_yaml(file) if file.is_file() else None
        if isinstance(content, dict) and (key in content or "defaults" not in content):
            return content.get(key)
    composed = _from_files((f"{group}={name}",), extra_dir, packages.conf_folders())
    return OmegaConf.select(composed, f"{group}.{key}")


def file_of(target: str) -> str:
    """The name of the file that holds a class, which is the name of its model."""
    return target.rpartition(".")[0].rpartition(".")[2]
