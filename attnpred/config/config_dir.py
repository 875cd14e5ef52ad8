"""Config files that are not shipped: they choose options, and nothing that steers Hydra or says where to write."""

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from attnpred.config import defaults_list, schema, untrusted
from attnpred.config.folders import CONF
from attnpred.config.options import Config, DataConfig
from attnpred.errors import UserError

# where a launch writes, and what it may read
OURS_ALONE = ("output_dir", "data.cache_dir", "logger.tracking_uri", "data.paths_outside")
# where a file need not say it
USUAL = {"data.cache_dir": DataConfig.cache_dir, "data.paths_outside": DataConfig.paths_outside}
# of Hydra's own settings, what differs with every choice and steers nothing
HARMLESS = {
    "hydra": ("overrides", "runtime", "searchpath"),
    "job": ("override_dirname",),
    "launcher": ("n_jobs", "on_failure"),
}


class GuardedSource(FileConfigSource):
    """As Hydra reads a directory of files, but that each is looked at before it is parsed."""

    searched: tuple[Path, ...] = ()  # all directories of files, the shipped one first

    @staticmethod
    def scheme() -> str:
        return "guarded"

    def load_config(self, config_path: str) -> ConfigResult:
        file = Path(os.path.realpath(Path(self.path, self._normalize_file_name(config_path))))
        if not file.is_relative_to(Path(self.path).resolve()):
            raise UserError(f"{file}: lies outside of {self.path}, where it was looked for; put the file itself there")
        content = untrusted.read_yaml(file)
        untrusted.refuse_functions(content, str(file))
        if group := config_path.rpartition("/")[0]:
            defaults_list.check(file, content, group, self.searched, {field.name for field in fields(Config)})
        with untrusted.reading(file):  # Hydra wants more of it: no key twice
            return super().load_config(config_path)


def search_path(directories: list[Path]) -> str:
    """The override that has Hydra look into the directories, in this order, after the shipped files."""
    SourcesRegistry.instance().register(GuardedSource)
    GuardedSource.searched = (CONF, *directories)
    places = ",".join(f"{GuardedSource.scheme()}://{directory.resolve()}" for directory in directories)
    return f"hydra.searchpath=[{places}]"


def refuse_reach(composed: DictConfig, shipped: DictConfig, directory: str) -> None:
    """Raises where a file reached beyond the experiment, to what Hydra starts or to where is written.

    Which sweep is made of it, a file may say.
    """
    swept = composed.hydra.sweeper.get("params") or {}
    if any(re.split("[./]", str(name).lstrip("+~"))[0] == "hydra" or name in OURS_ALONE for name in swept):
        raise UserError(
            f"--config-dir={directory}: a file there sweeps over where to write or read, or over Hydra's own settings; "
            "give these on the command line"
        )
    if _steering(composed) != _steering(shipped):
        raise UserError(
            f"--config-dir={directory}: a file there changes Hydra's own settings, which can start programs; "
            "give hydra.… on the command line"
        )
    for name in OURS_ALONE:
        found, ours = _written(composed, name), _written(shipped, name)
        if found != ours:
            raise UserError(
                f"{name}={schema.show(found)}: a file of --config-dir={directory} may not say where to write or to "
                f"read; let it say {schema.show(ours)}, and give {name}=… on the command line"
            )


def _steering(config: DictConfig) -> dict[str, Any]:
    """Hydra's settings as they stand, nothing of them resolved."""
    settings: Any = OmegaConf.to_container(config.hydra)
    kept = {key: value for key, value in settings.items() if key not in HARMLESS["hydra"]}
    for part in ("job", "launcher"):
        kept[part] = {key: value for key, value in settings[part].items() if key not in HARMLESS[part]}
    kept["sweeper"] = settings["sweeper"].get("storage")
    return kept


def _written(config: DictConfig, name: str) -> Any:
    value: Any = OmegaConf.to_container(config)
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return USUAL.get(name) if value is None else value
