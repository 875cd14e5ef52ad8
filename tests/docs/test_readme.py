"""What the README says can be typed, typed: on made data, in a directory of its own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.cli import VERBS
from tests.data.made import make_text_source, text_rows
from tests.models.made import make_encoder

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
INDENTED = [
    line.strip().partition("  #")[0].removeprefix("$ ") for line in README.splitlines() if line.startswith("    ")
]
LAUNCHES = [line for line in INDENTED if line.startswith(("attnpred ", "python train.py"))]
FAST = [line for line in LAUNCHES if f"$ {line}" in README]  # what is answered before anything is imported
MAKES = [line for line in INDENTED if line.startswith("make ")]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place with train.py, and data and weights under the names that the README uses."""
    place = tmp_path_factory.mktemp("home")
    shutil.copy(REPOSITORY / "train.py", place)
    make_text_source(place / "data" / "imdb")
    rows = {"train": text_rows(120), "validation": text_rows(40, seed=1)}
    make_text_source(place / "data" / "glue", rows=rows, subset="sst2", columns=("sentence", "label"))
    make_encoder(place / "data" / "bert-base-uncased")
    texts, labels = text_rows(120)
    prices = [f"{len(text)}.5" for text in texts]
    lines = [f'"{t}",{s},{p}' for t, s, p in zip(texts, labels, prices, strict=True)]
    (place / "reviews.csv").write_text("\n".join(["review,stars,price", *lines]) + "\n", encoding="utf-8")
    return place


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    words = [sys.executable, *(["-m", "attnpred"] if words[0] == "attnpred" else []), *words[1:]]
    own = {"ATTNPRED_DATA": str(home / "data"), "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(words, cwd=home, env={**os.environ, **own}, capture_output=True, text=True, check=False)


def test_the_readme_shows_commands():
    assert len(LAUNCHES) >= 3
    assert len(MAKES) >= 3


@pytest.mark.parametrize(
    "command", [pytest.param(line, marks=() if line in FAST else pytest.mark.slow) for line in LAUNCHES]
)
def test_a_launch_runs_as_written(command, home):
    result = run(command, home)
    shown = re.search(rf"\$ {re.escape(command)}\n    (error: .*)", README)
    if shown:
        assert result.returncode == 2
        assert result.stderr.strip() == shown[1]
    else:
        assert result.returncode == 0, result.stderr
        assert (home / result.stdout.splitlines()[-1]).is_dir()


@pytest.mark.parametrize("command", MAKES)
def test_a_make_target_exists(command):
    dry = subprocess.run([*shlex.split(command), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr


def test_the_table_of_commands_is_complete():
    named = set(re.findall(r"\| `attnpred (\w+)", README)) | {"train"}
    assert named == set(VERBS)


def test_every_choice_that_the_readme_lists_is_shipped():
    from attnpred.config.compose import group_options

    for group in ("model", "data", "task", "trainer", "optimizer", "logger"):
        row = next(line for line in README.splitlines() if line.startswith(f"| `{group}=` |"))
        listed = set(re.findall(r"`(\w+)`", row)) - {"transformers"}
        assert listed, group
        assert listed <= set(group_options(group)), group
