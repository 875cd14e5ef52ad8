"""Threads: as many as fit beside other programs, within affinity and quota; changed when two looks agree."""

import os
import subprocess
import sys

import pytest
import torch

from attnpred.machine import threads
from attnpred.training.callbacks.threads import Threads


@pytest.mark.parametrize(
    ("most", "others", "now", "expected"),
    [
        (2, 0.0, None, 2),
        (2, 0.9, None, 1),
        (2, 4.0, None, 1),  # never none
        (16, 4.2, None, 12),
        (8, None, None, 8),  # a system that does not tell
        (8, None, 3, 3),
        (2, 0.4, 1, 1),  # a margin, so that it does not go to and fro
        (2, 0.4, 2, 2),
        (2, 0.1, 1, 2),
    ],
)
def test_a_thread_for_each_core_that_is_free(most, others, now, expected):
    assert threads.fitting(most, others, now) == expected


@pytest.mark.parametrize(
    ("second", "first", "expected"),
    [
        ("200000 100000", None, 2.0),
        ("max 100000", None, None),
        (None, ("150000", "100000"), 1.5),
        (None, ("-1", "100000"), None),
        (None, None, None),
        ("rubbish", None, None),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, monkeypatch, second, first, expected):
    files = tmp_path / "cpu.max", tmp_path / "cpu.cfs_quota_us"
    if second is not None:
        files[0].write_text(second)
    if first is not None:
        files[1].write_text(first[0])
        (tmp_path / "cpu.cfs_period_us").write_text(first[1])
    monkeypatch.setattr(threads, "QUOTAS", files)
    assert threads._quota() == expected
    allowed = len(threads._allowed())
    assert threads.cores() == (allowed if expected is None else min(allowed, round(expected)))


def stat(monkeypatch, tmp_path, busy, resting):
    """A /proc/stat in which each allowed core worked and rested so many ticks."""
    file = tmp_path / "stat"
    rows = [f"cpu{n} {busy} 0 0 {resting} 0 0 0 0 0 0" for n in sorted(threads._allowed())]
    file.write_text("\n".join(["cpu 1 1 1 1 1 1 1 1 0 0", *rows, "cpu9999 7 7 7 7 0 0 0 0 0 0", "intr 1 2"]))
    monkeypatch.setattr(threads, "STAT", file)


def test_others_are_told_from_oneself(monkeypatch, tmp_path):
    cores, second = len(threads._allowed()), os.sysconf("SC_CLK_TCK")
    own = iter([0.0, 3.0, 3.0])
    monkeypatch.setattr(os, "times", lambda: os.times_result((next(own), 0.0, 0.0, 0.0, 0.0)))
    stat(monkeypatch, tmp_path, 0, 0)
    load = threads.Load()
    stat(monkeypatch, tmp_path, 8 * second, 2 * second)  # ten seconds, of which each core worked eight
    assert load.others() == pytest.approx((8 * cores - 3) / 10)
    assert load.others() is None  # too soon


def test_a_system_that_does_not_tell_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "STAT", tmp_path / "none")
    assert threads.Load().others() is None


class Kept:
    def __init__(self):
        self.told = {}

    def description(self):
        return self.told

    def describe(self, **changes):
        self.told |= changes


def test_two_looks_must_agree(monkeypatch, capsys):
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "most", lambda: 4)
    try:
        torch.set_num_threads(4)
        run = Kept()
        followed = Threads(run)
        for step, others in enumerate([2.0, 0.0, 2.0, 2.0, 0.0, 0.0]):
            followed.follow(others, step)
        assert torch.get_num_threads() == 4
        assert run.told["threads"] == [{"step": 3, "threads": 2}, {"step": 5, "threads": 4}]
        assert "threads: 2 from step 3 on" in capsys.readouterr().err
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("call", "variable", "expected"),
    [
        ("use(3)", "1", 3),
        ("use('auto')", "2", 2),
        ("follow(Busy())", "2", 2),  # as the user's variable says
        ("follow(Busy())", "", 1),
    ],
)
def test_what_was_asked_for_holds(call, variable, expected):
    busy = "class Busy:\n    def others(self): return 99.0\n"
    code = f"import torch\nfrom attnpred.machine.threads import *\n{busy}{call}\nprint(torch.get_num_threads())"
    own = {**os.environ, "OMP_NUM_THREADS": variable}
    told = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(expected)
