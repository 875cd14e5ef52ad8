"""Every command that docs/data.md shows, typed in its order in a directory of its own, on made data."""

import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.config.data_options import DataConfig
from attnpred.data.formats import KINDS, PACKINGS
from tests.data.made import image_rows, png, text_rows

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    attnpred ")]
ANSWERED = re.findall(r"    \$ (attnpred .*)\n    (error: .*)", PAGE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The sources that the page names."""
    place = tmp_path_factory.mktemp("home")
    texts, labels = text_rows(120)
    names = ["good" if label else "bad" for label in labels]
    pairs = list(zip(texts, names, strict=True))
    (place / "reviews.csv").write_text("review,stars\n" + "".join(f"{t},{n}\n" for t, n in pairs))
    for i in range(2):
        (place / f"part-{i}.csv").write_text("review,stars\n" + "".join(f"{t},{n}\n" for t, n in pairs[i::2]))
    visits = "".join(f"{t},{n},p{i % 20},2024-05-{1 + i % 31:02}\n" for i, (t, n) in enumerate(pairs))
    (place / "visits.csv").write_text("text,label,patient,day\n" + visits)
    (place / "notes.csv").write_text(
        "text,mood,sleep\nslept rather well last night,3,7\nall was well at home,1,8\nnothing much to say here,2,6\n"
    )
    for i, (image, label) in enumerate(zip(*image_rows(60), strict=True)):
        albums = [place / "albums" / split for split in ("train", "validation", "test")]
        for folder in (one / "ab"[label] for one in (place / "photos", *albums)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.png").write_bytes(png(image))
    for split in ("train", "validation", "test"):
        (place / "split").mkdir(exist_ok=True)
        (place / "split" / f"{split}.csv").write_text("text,label\n" + "".join(f"{t},{n}\n" for t, n in pairs))
    return place


def run(command, home):
    words: list[str] = []
    for word in shlex.split(command):
        pattern = "*" in word and f"'{word}'" not in command  # the shell leaves quoted ones alone
        words += [str(one.relative_to(home)) for one in sorted(home.glob(word))] if pattern else [word]
    own = {"HOME": str(home), "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", *words]
    return subprocess.run(words, cwd=home, env={**os.environ, **own}, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.long
def test_every_command_runs_as_written(home):
    assert len(COMMANDS) >= 10
    shutil.rmtree(home / "folds", ignore_errors=True)
    for command in COMMANDS:
        told = run(command, home)
        assert told.returncode == 0, f"{command}: {told.stderr}"
    assert "labels in doubt" in told.stdout
    assert (home / "reviews.html").is_file()


@pytest.mark.parametrize(("command", "error"), ANSWERED)
def test_an_error_is_as_shown(command, error, home):
    told = run(command, home)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1] == error


def test_the_page_names_every_format_and_only_options_that_exist():
    for suffix in (*PACKINGS, *KINDS):
        assert suffix in PAGE, suffix
    named = set(re.findall(r"data\.(\w+)=", PAGE))
    from attnpred.modalities.image.data import ImageDataConfig
    from attnpred.modalities.text.data import TextDataConfig

    kinds = (DataConfig, ImageDataConfig, TextDataConfig)
    known = {name for kind in kinds for name in kind.__dataclass_fields__}
    assert named <= known, named - known


def test_a_packed_file_is_looked_at_like_a_plain_one(home, capsys, monkeypatch):
    from attnpred.cli import main

    monkeypatch.chdir(home)
    Path("reviews.csv.gz").write_bytes(gzip.compress(Path("reviews.csv").read_bytes()))
    told = []
    for name in ("reviews.csv", "reviews.csv.gz"):
        assert main(["data", name, "--json"]) == 0
        told.append(capsys.readouterr().out.replace(".csv.gz", ".csv"))
    assert told[0] == told[1]
