"""What the README says can be typed, typed: on made data, in a directory of its own."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from attnpred.cli import VERBS
from attnpred.config.compose import group_options
from tests.data.made import make_text_source, text_rows
from tests.docs.prose import PAGES, REPOSITORY, commands
from tests.models.made import make_encoder

PAGE = REPOSITORY / "README.md"
README = PAGE.read_text(encoding="utf-8")
LAUNCHES = [command for command in commands(PAGE) if command.text.startswith(("attnpred ", "python train.py"))]
MAKES = [command.text for command in commands(PAGE) if command.text.startswith("make ")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place with train.py, and data and weights under the names that the README uses."""
    place = tmp_path_factory.mktemp("home")
    shutil.copy(REPOSITORY / "train.py", place)
    rows = {"train": text_rows(120), "validation": text_rows(40, seed=1)}
    make_text_source(place / "data" / "glue", rows=rows, subset="sst2", columns=("sentence", "label"))
    make_encoder(place / "data" / "bert-base-uncased")
    return place


def run(command, home) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    words = [sys.executable, *(["-m", "attnpred"] if words[0] == "attnpred" else []), *words[1:]]
    own = {"ATTNPRED_DATA": str(home / "data"), "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(words, cwd=home, env={**os.environ, **own}, capture_output=True, text=True, check=False)


def test_the_readme_shows_commands():
    assert len(LAUNCHES) >= 5
    assert len(MAKES) >= 3
    assert any(command.answer for command in LAUNCHES)


@pytest.mark.long
def test_commands_run_as_written(home):
    """In their order; RUN is the run that the one before printed."""
    trained = "RUN"
    for command in LAUNCHES:
        result = run(command.text.replace("RUN", trained), home)
        if command.answer:
            assert (result.returncode, result.stderr.strip()) == (2, command.answer)
            continue
        assert result.returncode == 0, f"{command}: {result.stderr}"
        if " train " in command.text:
            trained = result.stdout.splitlines()[-1]
            assert (home / trained).is_dir()


@pytest.mark.parametrize("command", MAKES)
def test_a_make_target_exists(command):
    dry = subprocess.run([*shlex.split(command), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr


def test_every_command_has_a_place_in_the_documentation():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    for verb in VERBS:
        assert f"`attnpred {verb}" in pages, verb


def test_every_choice_that_is_listed_is_shipped():
    for page in (README, (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")):
        for group in ("model", "data", "task", "trainer", "optimizer", "logger"):
            row = next(line for line in page.splitlines() if line.startswith(f"| `{group}=` |"))
            listed = set(re.findall(r"`(\w+)`", row)) - {"transformers"}
            assert listed, group
            assert listed <= set(group_options(group)), group
