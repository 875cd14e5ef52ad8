"""The page from a laptop to a cluster: what it has one type is understood."""

import re
import shlex
from pathlib import Path

import pytest

from attnpred.config import compose
from attnpred.config import overrides as overriding
from attnpred.config.options import LauncherConfig
from attnpred.config.schema import load

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8").replace("\\\n", " ")
BLOCKS = [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]
LAUNCHES = [line for line in BLOCKS if "attnpred train" in line]
NAMED = sorted(set(re.findall(r"`((?:hydra[./]|trainer[.=])[^`\s]*=[^`\s]*)", PAGE)))


def test_the_page_shows_launches():
    assert len(LAUNCHES) >= 4
    assert len(NAMED) >= 6


@pytest.mark.parametrize("line", LAUNCHES)
def test_a_launch_is_understood(line):
    overrides = [word for word in shlex.split(line.split("attnpred train")[1]) if word != "-m"]
    if " -m " in line.split("attnpred train")[1]:
        compose.engine(overrides)
        overrides = next(overriding.expand([o for o in overrides if not o.startswith("hydra")]))
    compose.compose(overrides)


@pytest.mark.parametrize("override", NAMED)
def test_an_override_that_is_named_exists(override):
    launcher = [] if override.startswith("hydra/") else ["hydra/launcher=submitit_slurm"]
    compose.engine([*(launcher if override.startswith("hydra") else []), override])


@pytest.mark.parametrize("name", compose.group_options("hydra/launcher"))
def test_every_launcher_loads_without_its_package(name):
    options, _ = compose.engine([f"hydra/launcher={name}"])
    assert isinstance(options, LauncherConfig)
    assert callable(load(options._target_))
