"""Faults of the system: the shim strikes where it is told, what is wrong is seen, and some are tried on real runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import faults, shim
from scripts.shim import Fault

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shim.compiler() is None, reason="there is no C compiler for Linux here")
WRITES = """
import sys
from pathlib import Path
from scripts import shim
from scripts.shim import Fault
place = Path(sys.argv[1])
shim.arm(place / "here", Fault(sys.argv[2], sys.argv[3], 2, sys.argv[4] == "for good"))
for name in ("elsewhere/a", "here/a", "here/b", "elsewhere/b", "here/c"):
    try:
        with open(place / name, "wb", buffering=0) as file:
            print(name, file.write(b"1234"))
    except OSError as error:
        print(name, error.errno)
print(shim.counts()["write"], shim.struck())
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("kind", "error", "how", "expected"),
    [
        (
            "write",
            "EIO",
            "once",
            ["elsewhere/a 4", "here/a 4", "here/b 5", "elsewhere/b 4", "here/c 4", "3 (1, 'here/b')"],
        ),
        (
            "write",
            "ENOSPC",
            "for good",
            ["elsewhere/a 4", "here/a 4", "here/b 2", "elsewhere/b 4", "here/c 28", "3 (2, 'here/b')"],
        ),
        (
            "open",
            "EIO",
            "for good",
            ["elsewhere/a 4", "here/a 4", "here/b 5", "elsewhere/b 4", "here/c 5", "1 (2, 'here/b')"],
        ),
        (
            "open",
            "EINTR",
            "once",
            ["elsewhere/a 4", "here/a 4", "here/b 4", "elsewhere/b 4", "here/c 4", "3 (1, 'here/b')"],
        ),
    ],
)
def test_the_shim_strikes_where_it_is_told(kind, error, how, expected, library, tmp_path):
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", WRITES, str(tmp_path), kind, error, how]
    own = {**os.environ, shim.PRELOAD: str(library), "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout
    assert told.replace(f"{tmp_path}/", "").splitlines() == expected


@pytest.mark.parametrize(
    ("code", "said", "wrong"),
    [
        (0, "all is well", ""),
        (2, "run: x\nerror: {place}/a: Input/output error; mend it", ""),
        (2, "error: a: Input/output error", "names no file"),
        (2, "error: {place}/a: once\nerror: {place}/a: twice", "not one line"),
        (2, "Traceback (most recent call last):\nerror: {place}/a: Input/output error", "a traceback"),
        (1, "OSError: [Errno 5]", "exit code 1"),
        (-9, "", "exit code -9"),
    ],
)
def test_what_is_wrong_about_an_end_is_seen(code, said, wrong, tmp_path):
    told = {"code": code, "said": said.replace("{place}", str(tmp_path))}
    found = faults.complaint(told, tmp_path, faults.SCENARIOS["a sweep"])
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)


def test_of_each_kind_on_each_file_the_first_second_and_last_calls_are_tried():
    met = {"open": [f"/p/outputs/2026-01-01/10-00-0{n}-a-12ab/x" for n in range(4)] + ["/p/y"], "link": []}
    chosen = list(faults.faults_of(met, Path("/p"), every_call=False))
    assert [fault.nth for fault in chosen if fault.error == "EIO"] == [1, 2, 4, 5]
    assert [fault.nth for fault in chosen if fault.error == "EINTR"] == [1, 5]
    assert Fault("open", "ENOSPC", 4, True) in chosen
    assert len(list(faults.faults_of(met, Path("/p"), every_call=True))) == 15


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("scenario", "most"), [("a run on images", 4), ("a sweep", 8)])
def test_a_run_bears_faults(scenario, most):
    command = [sys.executable, "-m", "scripts.faults", "--only", scenario, "--most", str(most), "--jobs", "2"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " 0 wrong" in ended.stdout
