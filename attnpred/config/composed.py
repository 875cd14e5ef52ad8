"""What config files say, put together by Hydra, and what is wrong with that in our words."""

from functools import cache
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from attnpred.config import config_dir
from attnpred.config.folders import CONF, group_options
from attnpred.errors import UserError

ENGINE = ("launcher", "sweeper")  # what of Hydra's own config is used
SEARCHED = "Config search path:"  # with which Hydra ends what it says of a file that it misses


@cache
def from_files(choices: tuple[str, ...], extra_dir: str | None, trusted: tuple[Path, ...]) -> DictConfig:
    """What the files say, and of Hydra's own part what is used. `trusted` are packages' directories of files."""
    found = composed(choices, [*trusted, *([Path(extra_dir)] if extra_dir else [])])
    if extra_dir:
        pairs = [choice.partition("=") for choice in choices if choice.startswith("hydra/")]
        engine = tuple(f"{group}={name}" for group, _, name in pairs if name in group_options(group))
        config_dir.refuse_reach(found, composed(engine, list(trusted)), extra_dir)
    with open_dict(found):
        found.hydra = {part: found.hydra[part] for part in ENGINE}
    return found


def composed(choices: tuple[str, ...], further: list[Path]) -> DictConfig:
    """As Hydra composes it, with all of its own part. `further` are directories beside the shipped one."""
    search = [config_dir.search_path(further)] if further else []
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            _forget_namesakes()
            return hydra_compose("config", overrides=[*choices, *search], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(line.strip() for line in str(error).partition(SEARCHED)[0].splitlines() if line.strip())
        raise UserError(f"{' '.join(choices) or 'config.yaml'}: {reason}; mend the file") from None


def _forget_namesakes() -> None:
    """Hydra and its plugins bring launchers and sweepers of the names of ours, and would hold ours to their options."""
    for part in ENGINE:
        registered = ConfigStore.instance().repo["hydra"][part]
        for name in group_options(f"hydra/{part}"):
            registered.pop(f"{name}.yaml", None)
