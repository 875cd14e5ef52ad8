"""The oracle sees whatever an input must not do: a rule that nothing can break would not be one."""

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnpred.errors import UserError
from tests.siege import oracle, worker
from tests.siege.case import Case, Inapplicable, apply
from tests.siege.oracle import CANARY, SECRET, by_call


def refuse(place, case):
    raise UserError("x=1: cannot be; mend it")


def raise_another(place, case):
    raise ValueError("x")


def refuse_and_change(place, case):
    (place / "left").write_text("x")
    refuse(place, case)


def read_elsewhere(place, case):
    (place.parent / "outside" / "secret.csv").read_text()


def write_elsewhere(place, case):
    (place.parent / "outside" / "made").write_text("x")


def write_elsewhere_in_c(place, case):
    ctypes.CDLL(None).creat(os.fsencode(place.parent / "outside" / "made"), 0o600)


def delete_elsewhere(place, case):
    (place.parent / "outside" / "secret.csv").unlink()


def delete_through_a_handle(place, case):
    handle = os.open(place.parent / "outside", os.O_RDONLY)
    os.remove("secret.csv", dir_fd=handle)


def leave_temporary(place, case):
    tempfile.mkdtemp()


def print_in_c(place, case):
    os.write(2, b"error: libx: warning\nerror: x\n")
    refuse(place, case)


def ask_the_network(place, case):
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 9))


def hang(place, case):
    while True:
        pass


def write_home(place, case):
    (place / "x").write_text(str(Path.home()))


OUTCOMES = {
    "accepts": (lambda place, case: None, "accepted", ""),
    "refuses": (refuse, "refused", ""),
    "raises": (raise_another, "failed", "raises ValueError"),
    "exits": (lambda place, case: sys.exit(3), "failed", "exit code 3"),
    "changes": (refuse_and_change, "failed", "is refused and leaves changes"),
    "reads": (read_elsewhere, "failed", "reaches out: open to read CELL/outside/secret.csv"),
    "writes": (write_elsewhere, "failed", "reaches out: open to write CELL/outside/made"),
    "writes in C": (write_elsewhere_in_c, "failed", "changes files of elsewhere"),
    "deletes": (delete_elsewhere, "failed", "reaches out: os.remove CELL/outside/secret.csv"),
    "deletes by a handle": (delete_through_a_handle, "failed", "os.remove"),
    "starts": (lambda place, case: subprocess.run(["true"], check=True), "failed", "reaches out: subprocess.Popen"),
    "temporary": (leave_temporary, "failed", "leaves temporary files"),
    "two lines": (print_in_c, "failed", "refused in other than a line a mistake"),
    "escapes": (lambda place, case: print("\x1b[2J"), "failed", "prints '\\x1b', which a terminal obeys"),
    "traceback": (lambda place, case: print("Traceback", file=sys.stderr), "failed", "a traceback is printed"),
    "tells a secret": (lambda place, case: print(SECRET), "failed", "prints the secret"),
    "tells of elsewhere": (lambda place, case: print(CANARY), "failed", "prints a file of elsewhere"),
    "keeps a secret": (lambda place, case: (place / "x").write_text(SECRET), "failed", "writes"),
    "keeps the home": (write_home, "failed", "writes 'the home directory' into a file"),
    "asks": (ask_the_network, "failed", "reaches out: socket.connect"),
    "hangs": (hang, "failed", "hangs"),
    "sleeps": (lambda place, case: time.sleep(60), "failed", "hangs outside of Python"),
    "dies": (lambda place, case: os.abort(), "failed", "ends the process (-6)"),
}


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    """The oracle's verdict on cases whose actions are these."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(oracle, "LIMIT", 0.3)
    monkeypatch.setattr(worker, "WAIT", 1.5)

    def run(actions, *cases):
        kind = SimpleNamespace(ACTIONS=actions, PROGRAMS=(), CODES=(), UNTOUCHED=frozenset(actions))
        monkeypatch.setattr(worker, "load", lambda name: kind)
        (tmp_path / "root").mkdir(exist_ok=True)
        return worker.replay(list(cases), tmp_path / "root", tmp_path)

    return run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_every_outcome_is_seen(verdicts):
    actions = {name: by_call(act) for name, (act, _, _) in OUTCOMES.items()}
    found = verdicts(actions, *(Case("made", name) for name in OUTCOMES))
    for (name, (_, outcome, signature)), verdict in zip(OUTCOMES.items(), found, strict=True):
        assert verdict.outcome == outcome, (name, verdict)
        assert signature in f"{verdict.signature}\n{verdict.detail}", (name, verdict)


def test_an_answer_must_name_what_is_wrong(verdicts):
    named, other, none = verdicts(
        {"refuse": by_call(refuse), "accept": by_call(lambda place, case: None)},
        Case("made", "refuse", told="x=1"),
        Case("made", "refuse", told="y=2"),
        Case("made", "accept", told="x=1"),
    )
    assert [one.outcome for one in (named, other, none)] == ["refused", "failed", "failed"]


EDITS = {
    "write": (["write", "a/b.txt", "{place}"], lambda place: (place / "a/b.txt").read_text() == str(place)),
    "bytes": (["bytes", "x", "AAE="], lambda place: (place / "x").read_bytes() == b"\0\1"),
    "splice": (["splice", "t.txt", 0.5, 1, "WFg="], lambda place: (place / "t.txt").read_text() == "abXXd"),
    "put": (["put", "d.json", ["a", 0], 7], lambda place: (place / "d.json").read_text() == '{"a": [7]}'),
    "more": (["put", "d.json", ["a", 1], 7], lambda place: (place / "d.json").read_text() == '{"a": [1, 7]}'),
    "drop": (["drop", "d.json", ["a"]], lambda place: (place / "d.json").read_text() == "{}"),
    "remove": (["remove", "t.txt"], lambda place: not (place / "t.txt").exists()),
    "link": (["link", "t.txt", "{outside}"], lambda place: (place / "t.txt").readlink() == place / "outside"),
    "pipe": (["pipe", "t.txt"], lambda place: (place / "t.txt").is_fifo()),
}


@pytest.mark.parametrize("what", EDITS)
def test_edits(what, tmp_path):
    edit, holds = EDITS[what]
    (tmp_path / "t.txt").write_text("abcd")
    (tmp_path / "d.json").write_text('{"a": [1]}')
    apply(Case("made", "x", (edit,)), tmp_path, tmp_path / "outside", strict=True)
    assert holds(tmp_path)


def test_an_edit_of_nothing(tmp_path):
    case = Case("made", "x", (["put", "none.json", ["a"], 1], ["write", "x", ""]))
    apply(case, tmp_path, tmp_path)
    assert (tmp_path / "x").exists()
    with pytest.raises(Inapplicable):
        apply(case, tmp_path, tmp_path, strict=True)
