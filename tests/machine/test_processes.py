"""Child processes: what they are given, what is handed on to them, and that none is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.errors import Interrupted
from attnpred.machine import processes
from tests.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]


def test_termination_is_handed_on_to_the_child(tmp_path):
    ready = tmp_path / "ready"
    code = f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    outer = (
        "import sys; from attnpred.machine import processes\n"
        "from attnpred.errors import Interrupted\n"
        f"try: processes.run([sys.executable, '-c', {code!r}])\n"
        "except Interrupted as error: sys.exit(error.exit_code)"
    )
    child = subprocess.Popen([sys.executable, "-c", outer], cwd=REPOSITORY)
    wait_for(ready.exists, child)
    child.terminate()
    assert child.wait(timeout=30) == 143


def grandchild(tmp_path, code):
    """A process that starts another one, which runs `code` when it has left its number in a file."""
    ready = tmp_path / "ready"
    inner = f"import os, pathlib, signal, time; place = pathlib.Path({str(tmp_path)!r})\n{code}\n"
    inner += "(place / 'draft').write_text(str(os.getpid())); (place / 'draft').rename(place / 'ready'); time.sleep(60)"
    outer = f"import sys; from attnpred.machine import processes; processes.run([sys.executable, '-c', {inner!r}])"
    child = subprocess.Popen([sys.executable, "-c", outer], cwd=REPOSITORY)
    wait_for(ready.exists, child)
    return child, int(ready.read_text())


def test_a_child_leaves_with_a_parent_that_is_killed(tmp_path):
    child, inner = grandchild(tmp_path, "")
    child.kill()
    child.wait()
    wait_for(lambda: not Path(f"/proc/{inner}").exists(), seconds=30)


def test_who_asks_a_launch_to_save_asks_its_child(tmp_path):
    child, _ = grandchild(tmp_path, "signal.signal(signal.SIGUSR1, lambda *_: (place / 'heard').touch())")
    child.send_signal(signal.SIGUSR1)
    wait_for((tmp_path / "heard").exists, child)
    child.terminate()
    child.wait(timeout=30)


def test_a_childs_exit_code_is_returned_and_its_environment_given():
    command = [sys.executable, "-c", "import os, sys; sys.exit(int(os.environ['ATTNPRED_TEST_CODE']))"]
    assert processes.run(command, {"ATTNPRED_TEST_CODE": "7"}) == 7


def test_a_child_finds_the_package_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert processes.run([sys.executable, "-m", "attnpred", "check", "seed=1"]) == 0


def test_an_interrupt_while_a_child_runs_is_reported_after_it():
    command = [sys.executable, "-c", f"import os, signal; os.kill({os.getpid()}, signal.SIGINT)"]
    with pytest.raises(Interrupted) as caught:
        processes.run(command)
    assert caught.value.exit_code == 130
