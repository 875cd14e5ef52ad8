"""Every command that docs/extend.md shows, typed in its order in a directory of its own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "extend.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    attnpred ")]
CONCEPTS = (REPOSITORY / "docs" / "concepts.md").read_text(encoding="utf-8")
PATHS = re.findall(r"(?:^|[\s`])((?:config|data|models|tasks|training|runs|explain)/\w+\.py)", PAGE + CONCEPTS)


@pytest.mark.slow
@pytest.mark.long
def test_every_command_runs_as_written(tmp_path):
    own = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    for command in COMMANDS:
        words = [sys.executable, "-m", *shlex.split(command)]
        told = subprocess.run(
            words, cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, f"{command}: {told.stderr}"
    assert len(COMMANDS) >= 6
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mypkg/tests/test_bag.py"]
    told = subprocess.run(tests, cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_files_that_the_pages_name_are_there():
    assert PATHS
    for path in PATHS:
        assert (REPOSITORY / "attnpred" / path).is_file(), path


def test_what_new_writes_is_refused_where_it_would_overwrite(tmp_path, monkeypatch, capsys):
    from attnpred.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["new", "explainer", "slope", "--package", "newpkg"]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [file.relative_to(tmp_path).as_posix() for file in written] == [
        "newpkg/explain/slope.py",
        "newpkg/conf/explainer/slope.yaml",
        "newpkg/tests/test_slope.py",
    ]
    for arguments in (["explainer", "slope"], ["explainer", "random"], ["model", "Not-a-name"]):
        assert main(["new", *arguments, "--package", "newpkg"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["new", "model", "bag"]) == 2
    assert "--package" in capsys.readouterr().err
