"""Whatever is typed wrongly is answered in one line that names it, with exit code 2, and leaves nothing behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, seed, settings

from attnpred.cli import main
from tests.siege.kinds.command_lines import one_each, with_a_mistake
from tests.siege.worker import FREELY

REPOSITORY = Path(__file__).parents[2]
PROCESSES = 20


def check(case, code, out, err, place):
    assert code == 2, (case, code, out, err)
    assert out == ""
    assert err.startswith("error: "), (case, err)
    assert err.count("\n") == 1, (case, err)
    assert case.told in err, (case, err)
    assert list(place.iterdir()) == []


def test_every_option_group_and_verb(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for case in one_each():
        capfd.readouterr()
        code = main(list(case.arguments))
        check(case, code, *capfd.readouterr(), tmp_path)


@pytest.mark.slow
@seed(1)
@settings(max_examples=PROCESSES, **FREELY)
@given(case=with_a_mistake())
def test_as_a_process(case):
    """The siege itself tries all within its own."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "attnpred", *case.arguments]
        own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        ended = subprocess.run(command, cwd=place, env=own, capture_output=True, text=True, timeout=60, check=False)
        check(case, ended.returncode, ended.stdout, ended.stderr, Path(place))
