"""A launch waits for the ranks of one that was killed: they may still be saving."""

import subprocess
import sys
from pathlib import Path

from attnpred.runs import ranks_lock
from tests.waiting import wait_for

RANK = """
import pathlib, sys, time
from attnpred.runs import ranks_lock
run = pathlib.Path(sys.argv[1])
with ranks_lock.at_work(run):
    (run / "begun").touch()
    while not (run / "leave").exists():
        time.sleep(0.01)
    (run / "left").touch()
"""


def test_it_waits_for_a_rank_that_is_at_work(tmp_path, capsys):
    ranks_lock.await_end(tmp_path)  # nobody trained there with ranks
    assert not list(tmp_path.iterdir())
    child = subprocess.Popen([sys.executable, "-c", RANK, str(tmp_path)], cwd=Path(__file__).parents[2])
    wait_for((tmp_path / "begun").exists, child)
    later = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time; time.sleep(0.5); pathlib.Path(sys.argv[1]).touch()",
            tmp_path / "leave",
        ]
    )
    ranks_lock.await_end(tmp_path)
    assert (tmp_path / "left").exists()
    assert "ranks of an earlier launch are leaving" in capsys.readouterr().err
    assert (child.wait(60), later.wait(60)) == (0, 0)
    ranks_lock.await_end(tmp_path)


def test_only_the_first_rank_has_the_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with ranks_lock.at_work(tmp_path):
        assert not list(tmp_path.iterdir())
