"""Standard streams that are closed, full, or of a narrow encoding end no command with a traceback."""

import os
import subprocess
import sys

import pytest

from attnpred.errors import Interrupted, UserError
from attnpred.runs.checkpoint_files import CheckpointFiles, Summed
from tests.compare.made import make_run

REDIRECTED = {
    "": 0,
    ">&-": 0,
    "2>&-": 0,
    "<&-": 0,
    "<&- >&- 2>&-": 0,
    ">/dev/full": 2,
    "2>/dev/full": 0,
    ">/dev/full 2>/dev/full": 2,
    ">/dev/full 2>&-": 2,
    "2>&1 | true; exit 0": 0,
}
NARROW = {
    "C": {"LC_ALL": "C"},
    "C alone": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}
VERBS = ["runs", "runs --json", "compare", "compare --json", "prune --keep best:0 --dry-run", "prune --keep best:0"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    place = tmp_path_factory.mktemp("tree")
    for i in range(2):
        make_run(place / f"größe-{i}", {"optimizer.lr": 0.1 + i, "data.name": "größe"}, value=0.5 + i / 10)
    return place


def answer(tree, words, redirected="", **environment):
    command = f"{sys.executable} -m attnpred {words.split()[0]} {tree} {' '.join(words.split()[1:])} {redirected}"
    found = {**os.environ, "HOME": str(tree.parent), **environment}
    return subprocess.run(["bash", "-c", command], env=found, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("redirected", REDIRECTED)
def test_a_stream_that_cannot_be_written_is_no_traceback(redirected, tree):
    found = answer(tree, "runs", redirected)
    assert found.returncode == REDIRECTED[redirected], found.stderr
    assert b"Traceback" not in found.stdout + found.stderr
    assert b"Exception ignored" not in found.stderr
    if "2>" not in redirected and ">/dev/full" in redirected:
        assert found.stderr.startswith(b"error: standard output: cannot be written (No space left on device)")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_a_refusal_that_cannot_be_told_keeps_its_exit_code(redirected, tree):
    found = answer(tree, "prune", redirected)
    assert (found.returncode, found.stdout) == (2, b"")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("narrow", NARROW)
def test_a_narrow_encoding_is_no_traceback(narrow, verb, tree):
    found = answer(tree, verb, "</dev/null", **NARROW[narrow])
    assert found.returncode == (2 if verb == VERBS[-1] else 0), found.stderr
    assert b"Traceback" not in found.stderr


def test_what_is_saved_never_lands_on_a_closed_stream(tree, tmp_path):
    """The next file that is opened would take the number of a closed one."""
    text = "from attnpred.console import streams, stdout\nwith streams.bearable():\n file = open('x', 'w')\n"
    text += " assert file.fileno() > 2\n stdout.write('printed')\n file.write('kept')\n"
    command = f'{sys.executable} -c "$0" <&- >&- 2>&-'
    subprocess.run(["bash", "-c", command, text], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "x").read_text() == "kept"


@pytest.mark.parametrize("error", [Interrupted(2), KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_signal_while_saving_is_told_as_one(error, at, tmp_path, monkeypatch):
    import torch

    plain, calls = Summed.write, []

    def write(self, data):
        calls.append(1)
        if len(calls) >= at:
            raise error
        return plain(self, data)

    monkeypatch.setattr(Summed, "write", write)
    expected = UserError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        CheckpointFiles().save_checkpoint({"w": torch.zeros(100_000), "v": torch.zeros(9)}, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []
