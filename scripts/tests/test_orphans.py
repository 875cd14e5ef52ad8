"""Launches of every kind that are killed leave nobody behind, and it is measured how long that takes."""

import random
import sys

import pytest

from scripts import orphans
from scripts.marked import Tree, is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell of processes")
GENEROUS = 30.0  # seconds, on a machine that others use


@pytest.mark.slow
@pytest.mark.parametrize("kind", orphans.KINDS)
@pytest.mark.parametrize("command", [True, False], ids=["the command", "one below it"])
def test_a_killed_launch_leaves_nobody(kind, command):
    ended = orphans.trial(kind, command=command, moments=random.Random(3))  # some seconds after the start
    assert ended.seconds < GENEROUS


def test_who_is_left_is_seen():
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    tree = Tree([sys.executable, "-c", code])
    try:
        assert tree.top.wait(30) == 0
        assert len(tree.alive()) == 1
        assert tree.gone_after(0.1) > 0.1
    finally:
        left = tree.alive()
        tree.clear()
    assert tree.gone_after() < GENEROUS
    assert not any(map(is_alive, left))


def test_figures_of_a_kind_are_summed_up():
    ended = [orphans.Ended("a run", "the command", "saving", 2, s) for s in (0.5, 3.0, 1.0)]
    told = orphans.told_of(ended)
    assert (told["kills"], told["processes left"], told["median"], told["longest"]) == (3, 6, 1.0, 3.0)
    assert told["stages"] == {"saving": 3}
