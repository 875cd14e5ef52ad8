"""No child outlives its parent by more than some seconds, whatever it does and whenever that dies."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from attnpred.machine import processes
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system does not tell of processes")
LATER = range(20, 400, 40)
REPOSITORY = Path(__file__).parents[2]
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)"
NOTED = "import pathlib, os, time; pathlib.Path(os.environ['NOTE']).touch()"

SLEEPER = f"{DEAF}; {NOTED}; time.sleep(600)"


class Tree:
    """A process, the child that it starts by `processes.run`, and whatever that starts."""

    def __init__(self, place):
        self.mark, self.note = uuid.uuid4().hex, place / "note"

    def start(self, code, how="processes.run([sys.executable, '-c', CODE])"):
        outer = f"import sys, threading, time; from attnpred.machine import processes; CODE = {code!r}; {how}"
        own = {"TREE": self.mark, "NOTE": str(self.note), "PYTHONPATH": str(REPOSITORY)}
        self.top = subprocess.Popen(
            [sys.executable, "-c", outer],
            env={**os.environ, **own},
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's background ignores
        )
        return self.top

    def at_work(self):
        wait_for(self.note.exists, self.top)

    def alive(self):
        """All that inherited the tree's mark, by their numbers, with their command lines."""
        found = {}
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and f"TREE={self.mark}".encode() in (process / "environ").read_bytes():
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def guard(self):
        return next(number for number, line in self.alive().items() if "guard.py" in line)

    def assert_gone(self):
        wait_for(lambda: not self.alive(), seconds=30)


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path)
    yield made
    for process in made.alive():
        os.kill(process, signal.SIGKILL)
    made.top.wait()


def kill(tree):
    tree.top.kill()
    tree.top.wait()


@pytest.mark.parametrize(
    "child",
    [
        f"{NOTED}; time.sleep(600)",
        SLEEPER,
        f"{DEAF}; import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(600)",
        f"{DEAF}; import os; os.fork() or (os.setsid(), os.fork()); {NOTED}; time.sleep(600)",
        f"{NOTED}; import sys\nwhile True: sum(range(10**9))",  # hears nothing for a long time
    ],
    ids=["plain", "deaf", "with a deaf child", "with daemons", "busy"],
)
def test_who_is_left_by_a_killed_parent_ends(child, tree):
    tree.start(child)
    tree.at_work()
    kill(tree)
    tree.assert_gone()


@pytest.mark.parametrize("milliseconds", [0, 50, *(pytest.param(m, marks=pytest.mark.slow) for m in LATER)])
def test_from_the_first_instruction_on(milliseconds, tree):
    tree.start(SLEEPER, "print(flush=True); processes.run([sys.executable, '-c', CODE])")
    wait_for(lambda: len(tree.alive()) > 1 or tree.top.poll() is not None)  # it is just starting a child
    time.sleep(milliseconds / 1000)
    kill(tree)
    tree.assert_gone()


def test_a_killed_guard_takes_its_child_along(tree):
    tree.start(SLEEPER)
    tree.at_work()
    os.kill(tree.guard(), signal.SIGKILL)
    tree.assert_gone()


def test_what_a_killed_child_has_started_ends_too(tree):
    child = (
        f"import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}])\n"
        "while not os.path.exists(os.environ['NOTE']): time.sleep(0.01)\nos.kill(os.getpid(), 9)"
    )
    tree.start(child, "sys.exit(processes.run([sys.executable, '-c', CODE]) + 100)")
    assert tree.top.wait(60) == 100 - signal.SIGKILL
    tree.assert_gone()


def test_the_end_of_the_thread_that_started_it_is_nothing_to_a_child(tree):
    starts = "lambda: processes.start([sys.executable, '-c', CODE], '.', processes.environment(), None)"
    tree.start(
        f"{NOTED}; time.sleep(1); pathlib.Path(os.environ['NOTE'] + '-later').touch()",
        f"thread = threading.Thread(target={starts}); thread.start(); thread.join(); time.sleep(60)",
    )
    wait_for(Path(f"{tree.note}-later").exists, tree.top)
    kill(tree)
    tree.assert_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_reaches_the_child_once(number, tree, tmp_path):
    heard = tmp_path / "heard"
    code = (
        "import os, pathlib, signal, time\n"
        f"def note(*_):\n  with open({str(heard)!r}, 'a') as file: file.write('x')\n"
        f"signal.signal({int(number)}, note); {NOTED}\n"
        f"while not os.path.exists({str(tmp_path / 'enough')!r}): time.sleep(0.05)"
    )
    tree.start(code)
    tree.at_work()
    os.kill(tree.guard(), number)
    wait_for(heard.exists, tree.top)
    (tmp_path / "enough").touch()
    assert tree.top.wait(60) == 0
    assert heard.read_text() == "x"


@pytest.mark.parametrize("end", ["sys.exit(7)", "os.kill(os.getpid(), 15)", "os.abort()"])
def test_it_ends_as_its_child_did(end):
    command = [sys.executable, "-c", f"import os, sys; {end}"]
    assert processes.run(command) == subprocess.run(command, check=False).returncode


def test_what_a_program_says_is_answered_or_nothing():
    assert processes.answer([sys.executable, "-c", "print('so')"]) == "so\n"
    assert processes.answer([sys.executable, "-c", "print('so'); raise SystemExit(1)"]) is None
    assert processes.answer(["/nowhere/at/all"]) is None


def logged(code, place, **kept):
    """Starts a child by its code, whose log is kept."""
    (place / "child.py").write_text(code)
    with (place / "log").open("ab") as log:
        own = {**processes.environment(), **kept}
        return processes.start([sys.executable, "child.py"], str(place), own, log)


def test_a_log_holds_no_secret_while_its_child_is_at_work(tmp_path):
    code = (
        "import os, sys, time\n"
        "print(os.environ['MY_TOKEN'], file=sys.stderr)\n"
        "os.write(2, b'opened ' + os.environ['HOME'].encode() + b'/x\\n')\n"  # as a library in C would
        "os.system('echo of a child: $MY_TOKEN >&2')\n"
        "time.sleep(600)"
    )
    child = logged(code, tmp_path, MY_TOKEN="planted-4711", HOME=str(tmp_path))
    wait_for(lambda: "of a child" in (tmp_path / "log").read_text(), child)
    assert (tmp_path / "log").read_text() == "***\nopened ~/x\nof a child: ***\n"
    child.terminate()
    child.wait()


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("; sys.exit(3)", 3), ("; os.kill(os.getpid(), 9)", -9), ("; os.abort()", -6)]
)
def test_a_log_holds_all_that_was_said_before_the_end(end, code, tmp_path):
    say = "for n in range(50_000): sys.stderr.write(f'{n} planted-4711\\n')"
    last = f"os.write(2, b'\\xff without an end, planted-4711'){end}"
    child = logged(f"import os, sys\n{say}\nsys.stderr.flush(); {last}", tmp_path, MY_TOKEN="planted-4711")
    assert child.wait(60) == code
    told = (tmp_path / "log").read_bytes().split(b"\n")
    assert told == [*(b"%d ***" % n for n in range(50_000)), b"\xff without an end, ***"]


def test_a_log_that_cannot_be_written_is_no_reason_to_end(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    with Path("/dev/full").open("wb") as log:
        code = "import os\nfor _ in range(1000): os.write(2, bytes(1000))\nos.write(2, b'end\\n')"
        child = processes.start([sys.executable, "-c", code], str(tmp_path), processes.environment(), log)
        assert child.wait(60) == 0
