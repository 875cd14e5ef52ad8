"""What may follow on a command line: groups and their files, options and their values. Nothing heavy is imported."""

import typing
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from attnpred.config import describe, packages, schema, untrusted
from attnpred.config.folders import CONF, folders, names_in
from attnpred.config.options import Config, DataConfig, LauncherConfig, ModelConfig, SweeperConfig, TaskConfig
from attnpred.errors import Theirs, UserError

BASES: dict[str, type] = {"model": ModelConfig, "data": DataConfig, "task": TaskConfig}
ENGINE: dict[str, type] = {"hydra/launcher": LauncherConfig, "hydra/sweeper": SweeperConfig}
APART = ("explainer", "hydra")  # folders of conf/ that are no groups of a config
STEPS = 5  # from a file to another that it builds upon


class Overrides:
    """Of the words that were typed so far, those that choose files decide which options there are."""

    def __init__(self, words: Sequence[str], config_dir: str | None = None) -> None:
        try:
            self.searched = folders(config_dir)
        except UserError:
            self.searched = [CONF]
        self.chosen = self._chosen(words)

    def candidates(self, partial: str) -> list[str]:
        """Words that begin with what stands there; a part of one where more is to follow."""
        key, equals, value = partial.partition("=")
        if equals:
            *before, last = value.split(",")  # a sweep's values
            kept = "".join(f"{one}," for one in before)
            return [f"{key}={kept}{one}" for one in self._values(key) if one.startswith(last)]
        options = [f"{name}=" for name in self._options()]
        groups = [f"{name}=" for name in self.groups()]
        if "." in partial:
            return [name for name in options if name.startswith(partial)]
        single = [name for name in options if "." not in name]
        below = sorted({f"{name.partition('.')[0]}." for name in options if "." in name and name[:6] != "hydra."})
        return [name for name in dict.fromkeys([*groups, *single, *below]) if name.startswith(partial)]

    def groups(self) -> list[str]:
        own = {entry.name for folder in self.searched for entry in folder.iterdir() if entry.is_dir()} - set(APART)
        return sorted(own | set(ENGINE))

    def _chosen(self, words: Sequence[str]) -> dict[str, str]:
        """The file of each group, as config.yaml, then an experiment's file, then the words say."""
        chosen = dict(_listed(CONF / "config.yaml"))
        typed = dict(word.partition("=")[::2] for word in words if "=" in word)
        for name in ("experiment", "debug"):
            if (file := self._file(name, typed.get(name, ""))) is not None:
                chosen |= dict(_listed(file))
        return chosen | typed

    def _file(self, group: str, name: str) -> Path | None:
        files = (folder / group / f"{name}.yaml" for folder in self.searched)
        return next((file for file in files if name and file.is_file()), None)

    def _target(self, group: str) -> str | None:
        """The class that the chosen file of a group names, be it in one that it builds upon."""
        name = self.chosen.get(group, "")
        for _ in range(STEPS):
            file = self._file(group, name)
            content = untrusted.read_yaml(file) if file else None
            if not isinstance(content, dict):
                return None
            if "_target_" in content:
                return str(content["_target_"])
            bases = content.get("defaults")
            name = next((one for one in bases or () if isinstance(one, str) and one != "_self_"), "")
        return None

    def _kinds(self) -> Iterator[tuple[str, type, dict[str, Any]]]:
        """The classes of options, where their names begin, and of those below the classes that were chosen."""
        plain = {group: self._named(group) for group in BASES}
        yield "", Config, plain
        for group, base in ENGINE.items():
            yield group.replace("/", "."), base, self._named(group)

    def _named(self, group: str) -> dict[str, Any]:
        """As much of a config as names the class of a group; nothing where no such class can be read."""
        with suppress(UserError, Theirs):
            if target := self._target(group):
                schema.options_of(target, group)
                return {"_target_": target}
        return {}

    def _options(self) -> list[str]:
        found = [name for where, kind, plain in self._kinds() for name in describe.paths(kind, plain, where)]
        inner = {name.rpartition(".")[0] for name in found}
        return [name for name in found if name not in inner and not name.endswith("_target_")]

    def _values(self, key: str) -> list[str]:
        if key in self.groups():
            optional = ["null"] if key in ("experiment", "debug") else []
            return [*names_in(key, self.searched), *optional]
        for where, kind, plain in self._kinds():
            if key.startswith(f"{where}." if where else ""):
                with suppress(KeyError, UserError, Theirs):
                    return _values_of(_hint(kind, plain, key.removeprefix(f"{where}.").split(".")))
        return []


def _hint(kind: type, plain: dict[str, Any], path: Sequence[str]) -> Any:
    """The type of the option at the path."""
    for depth, name in enumerate(path):
        below = plain if depth == 0 else plain.get(path[0], {}) if depth == 1 else {}
        if "_target_" in below:
            kind = schema.options_of(below["_target_"], name, kind)
        kind = typing.get_type_hints(kind)[name]
        if not is_dataclass(kind):
            break
    return kind


def _values_of(hint: Any) -> list[str]:
    found: list[str] = []
    for choice in schema.alternatives(hint):
        found += ["true", "false"] if choice is bool else ["null"] if choice is None else []
        found += [choice] if isinstance(choice, str) else []
    return found


def _listed(file: Path) -> Iterator[tuple[str, str]]:
    """The choices that a file's list of defaults makes."""
    content = untrusted.read_yaml(file)
    listed = content.get("defaults") if isinstance(content, dict) else None
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            for key, name in entry.items():
                if isinstance(name, str):
                    yield str(key).split()[-1].lstrip("/"), name


def trust(words: Sequence[str]) -> None:
    """Takes the packages of the words into account, whose files may be chosen too."""
    named = [after for word, after in pairwise(words) if word == "--package" and after]
    named += [word.partition("=")[2] for word in words if word.startswith("--package=")]
    try:
        packages.trust(named)
    except UserError:
        packages.trust()
