"""From overrides to a checked config. Hydra puts the files together; every value is then held against the schema."""

import os
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from attnpred.config import choices, continued, describe, hints, packages, schema, untrusted
from attnpred.config.choices import TRIPLE, fitting
from attnpred.config.composed import ENGINE, from_files
from attnpred.config.folders import file_of, folders, group_options
from attnpred.config.options import Config, ExplainerConfig, LauncherConfig, SweeperConfig
from attnpred.config.overrides import parse, steers, typed
from attnpred.config.wanted import Wanted, adds_nothing
from attnpred.console.secrets import scrub
from attnpred.errors import Mistakes, UserError

__all__ = [
    "ENGINE",
    "as_yaml",
    "changed",
    "checked",
    "compose",
    "engine",
    "engine_as_yaml",
    "explainer",
    "file_of",
    "fitting",
    "group_options",
    "groups",
    "plain",
]

APART = "explainer"  # a group that commands choose from which read a run; no part of its config
# Classes by the names that they had in earlier versions, whose runs are still read
RENAMED = {
    "attnpred.data.image.ImageData": "attnpred.modalities.image.data.ImageData",
    "attnpred.data.text.TextData": "attnpred.modalities.text.data.TextData",
}
MULTIRUN_HINT = "several values make a sweep; add -m, or quote a list as [a,b]"


def compose(overrides: list[str], extra_dir: str | None = None) -> Config:
    """The config that the overrides describe; raises UserError for all that is wrong with them or with a file.

    `extra_dir` is a further directory of config files, searched after the shipped ones and those of packages.
    """
    mistakes = Mistakes()
    single = []
    for override in parse(overrides, mistakes):
        if override.is_sweep_override():
            mistakes.add(UserError(f"{override.input_line}: {MULTIRUN_HINT}"))
        else:
            single.append(override)
    wanted = Wanted.of(single, extra_dir, mistakes)
    config = None
    given: dict[str, Any] = {}
    with mistakes.noted():
        given = continued.taken(wanted, extra_dir)
    if not mistakes.found or wanted.can_be_checked:
        with mistakes.noted():
            values, refers = _merged(wanted, extra_dir, given)
            with mistakes.noted():
                _engine(values.pop("hydra"), wanted.typed)
            _refuse_additions(wanted, values, mistakes)
            config = _held(values, extra_dir, mistakes, wanted.typed, wanted.spoiled, refers)
        with mistakes.noted():
            if config is not None:
                choices.require_kinds(config.data, extra_dir)
                config.check_direction()
    mistakes.tell()
    assert config is not None
    return config


def engine(overrides: list[str], extra_dir: str | None = None) -> tuple[LauncherConfig, SweeperConfig]:
    """What runs a sweep's jobs, and what decides which they are; the values that are swept over play no part."""
    mistakes = Mistakes()
    single = []
    for override in parse(overrides, mistakes):
        if override.is_sweep_override() and steers(override):
            mistakes.add(UserError(f"{override.input_line}: holds for the whole sweep; give one value"))
        elif not override.is_sweep_override():
            single.append(override)
    wanted = Wanted.of(single, extra_dir, mistakes)
    mistakes.tell()
    return _engine(_merged(wanted, extra_dir)[0]["hydra"], wanted.typed)


def _engine(values: Any, typed: Mapping[str, str]) -> tuple[LauncherConfig, SweeperConfig]:
    kinds = {"launcher": LauncherConfig, "sweeper": SweeperConfig}

    def hint(wrong: str) -> str:
        known = [name for kind in kinds for name in describe.paths(kinds[kind], values[kind], f"hydra.{kind}")]
        name = hints.nearest(wrong, known)
        return f"; did you mean {name}?" if name else choices.HELP

    asked = schema.Asked(hint, typed)
    launcher, sweeper = (schema.build(kinds[kind], values[kind], f"hydra.{kind}", asked) for kind in kinds)
    return launcher, sweeper


def _merged(
    wanted: Wanted, extra_dir: str | None, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What the files and overrides say, as plain containers; of Hydra's own part, launcher and sweeper.

    Then the options that take the values of others, each with those. Groups that are `given` take the files' place.
    """
    folders(extra_dir)
    try:
        config = from_files(tuple(wanted.choices), extra_dir, packages.conf_folders()).copy()
        OmegaConf.set_struct(config, False)
        for group, options in (given or {}).items():
            config[group] = options
        for override in wanted.values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        _add_defaults(config)
        written = OmegaConf.to_container(config)
        untrusted.refuse_functions(written)
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        reason = (str(error.msg) if error.msg else str(error)).splitlines()[0]
        raise UserError(f"{where}{reason}; mend the interpolation or set the option") from None
    assert isinstance(plain, dict)
    return typing.cast(dict[str, Any], plain), untrusted.references(written)


def _add_defaults(config: DictConfig) -> None:
    """Gives options that no file lists their usual values, so that others can refer to them."""
    for group, base in TRIPLE.items():
        chosen = config.get(group)
        target = chosen.get("_target_") if isinstance(chosen, DictConfig) else None
        if isinstance(target, str):
            for name, value in schema.defaults(schema.options_of(target, f"{group}._target_", base)).items():
                if name not in chosen and isinstance(value, str | int | float | list | dict | None):
                    chosen[name] = value


def _refuse_additions(wanted: Wanted, values: dict[str, Any], mistakes: Mistakes) -> None:
    known = list(describe.paths(Config, values)) if wanted.added else []
    for override in wanted.added:
        if override.key_or_group in known:
            mistakes.add(adds_nothing(override))


def changed(config: Config, overrides: list[str], allowed: tuple[str, ...]) -> Config:
    """A run's own config with some options of the `allowed` groups set anew; anything else would be another run."""
    content = OmegaConf.create(plain(config))
    mistakes = Mistakes()
    parsed = parse(overrides, mistakes)
    for override in parsed:
        with mistakes.noted():
            _refuse_another_run(override, allowed)
            OmegaConf.update(content, override.key_or_group, override.value(), merge=True)
    values = OmegaConf.to_container(content)
    assert isinstance(values, dict)
    untrusted.refuse_references(values, "override")
    found = _held(values, None, mistakes, {one.key_or_group: typed(one) for one in parsed})
    mistakes.tell()
    assert found is not None
    if found.data.targets != config.data.targets:
        choices.require_kinds(found.data, None)
    return found


def _refuse_another_run(override: Override, allowed: tuple[str, ...]) -> None:
    key = override.key_or_group
    if key.partition(".")[0] not in allowed or "." not in key:
        groups = " and ".join(f"{name}.…" for name in allowed)
        raise UserError(f"{override.input_line}: cannot be changed for a trained run; only {groups} can")
    if override.is_sweep_override() or override.is_delete() or override.is_add():
        raise UserError(f"{override.input_line}: write one plain value, key=value")


def checked(plain: dict[Any, Any], extra_dir: str | None = None) -> Config:
    """Holds a plain mapping, from composition or from a run directory, against the schema."""
    mistakes = Mistakes()
    config = _held(plain, extra_dir, mistakes)
    mistakes.tell()
    assert config is not None
    return config


def _held(
    plain: dict[Any, Any],
    extra_dir: str | None,
    mistakes: Mistakes,
    typed: Mapping[str, str] | None = None,
    spoiled: Iterable[str] = (),
    refers: Mapping[str, list[str]] | None = None,
) -> Config | None:
    """None where something is wrong, which is noted. Of `spoiled` groups another file was meant than the one read."""
    _rename(plain)
    skip = set(spoiled)
    if not skip:
        before = mistakes.count
        with mistakes.noted():
            choices.check_triple(plain, extra_dir)
        if mistakes.count > before:
            skip = set(TRIPLE)  # their options may be of another file that was meant
    asked = schema.Asked(
        lambda wrong: choices.hint(wrong, plain, extra_dir), typed or {}, refers or {}, frozenset(skip)
    )
    config: Config | None = schema.note(Config, plain, asked, mistakes)
    return config


def _rename(plain: dict[Any, Any]) -> None:
    """Gives the classes that a config names, as runs of earlier versions have them, their names of today."""
    for group in plain.values():
        target = group.get("_target_") if isinstance(group, dict) else None
        if isinstance(target, str) and target in RENAMED:
            group["_target_"] = RENAMED[target]


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


def explainer_of(overrides: list[str]) -> ExplainerConfig:
    """The options of an explainer that is to be trained: its file's name, and words that change them."""
    parsed = parse(overrides)
    names = [one.value() for one in parsed if one.key_or_group == APART]
    if len(names) != 1 or not isinstance(names[0], str):
        raise UserError(f"{APART}=: name one explainer to train")
    content = OmegaConf.create(asdict(explainer(names[0])))
    for override in parsed:
        key = override.key_or_group
        if key != APART and not key.startswith(f"{APART}."):
            raise UserError(f"{override.input_line}: an explainer is trained on a run, whose options stay as they are")
        if override.is_sweep_override() or override.is_delete() or override.is_add():
            raise UserError(f"{override.input_line}: write one plain value, key=value")
        if key != APART:
            OmegaConf.update(content, key.removeprefix(f"{APART}."), override.value(), force_add=True)
    values = OmegaConf.to_container(content)
    assert isinstance(values, dict)
    untrusted.refuse_references(values, "override")
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


def engine_as_yaml(launcher: LauncherConfig, sweeper: SweeperConfig) -> str:
    """What runs a sweep's jobs, in the same form."""
    parts = {"hydra": {"launcher": asdict(launcher), "sweeper": asdict(sweeper)}}
    return yaml.safe_dump(scrub(parts), sort_keys=False, allow_unicode=True)


def plain(config: Config) -> dict[str, Any]:
    """The config as plain containers, to be written to the run directory; `checked` reads it back."""
    return asdict(config)
