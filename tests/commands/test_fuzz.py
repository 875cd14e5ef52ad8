"""Whatever is typed wrongly is answered in one line that names it, with exit code 2, and leaves nothing behind.

ATTNPRED_FUZZ=N tries N command lines within this process, and a tenth as many as processes of their own; `make fuzz`
does that with 2,000.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from attnpred.cli import main
from tests.malformed import Malformed, malformed, one_each

COUNT = int(os.environ.get("ATTNPRED_FUZZ", "200"))
REPOSITORY = Path(__file__).parents[2]
FREELY = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def check(case: Malformed, code: int | None, out: str, err: str, place: Path) -> None:
    assert code == 2, (case, code, out, err)
    assert out == ""
    assert err.startswith("error: "), (case, err)
    assert err.count("\n") == 1, (case, err)
    assert "Traceback" not in err
    assert case.culprit in err, (case, err)
    assert list(place.iterdir()) == []


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_option_group_and_verb(empty, capfd):
    for case in one_each():
        capfd.readouterr()
        code = main(case.arguments)
        check(case, code, *capfd.readouterr(), empty)


@seed(0)
@settings(max_examples=COUNT, **FREELY)
@given(case=malformed())
def test_within_this_process(case, empty, capfd):
    capfd.readouterr()
    code = main(case.arguments)
    out, err = capfd.readouterr()
    check(case, code, out, err, empty)


@pytest.mark.slow
@seed(1)
@settings(max_examples=max(COUNT // 10, 1), **FREELY)
@given(case=malformed())
def test_as_a_process(case):
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "attnpred", *case.arguments]
        own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        ended = subprocess.run(command, cwd=place, env=own, capture_output=True, text=True, timeout=60, check=False)
        check(case, ended.returncode, ended.stdout, ended.stderr, Path(place))
