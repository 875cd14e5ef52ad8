"""Tab completion: what is proposed, and that the shells themselves take it."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.commands.completion import SHELLS, candidates

REPOSITORY = Path(__file__).parents[2]
HEAVY = {"hydra", "omegaconf", "torch", "pytorch_lightning", "numpy", "transformers", "pandas"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run, file in {
        "2026-01-01/a": "run.json",
        "2026-01-02/b": "run.json",
        "2026-01-03/c-sweep": "sweep.json",
    }.items():
        (tmp_path / "outputs" / run).mkdir(parents=True)
        (tmp_path / "outputs" / run / file).touch()
    (tmp_path / "elsewhere" / "d").mkdir(parents=True)
    (tmp_path / "elsewhere" / "d" / "run.json").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "some", "others"),
    [
        ("attnpred t", ["train"], ["evaluate"]),
        ("attnpred train mod", ["model=", "model."], ["data="]),
        ("attnpred train model=", ["model=bert", "model=transformer"], []),
        ("attnpred train model=tr", ["model=transformer"], ["model=bert"]),
        ("attnpred train -m model=bert,tr", ["model=bert,transformer"], []),
        ("attnpred train trainer.prec", ["trainer.precision="], ["trainer.patience="]),
        ("attnpred train trainer.precision=", ["trainer.precision=bf16-mixed"], []),
        ("attnpred train trainer.compile=", ["trainer.compile=true", "trainer.compile=false"], []),
        ("attnpred train resume=", ["resume=auto", "resume=null"], []),
        ("attnpred train model=bert data=imdb model.", ["model.source="], ["model.width="]),
        ("attnpred train experiment=imdb_minilm model.", ["model.source="], ["model.width="]),
        ("attnpred train data=imdb data.tokenizer.kind=", ["data.tokenizer.kind=bpe"], []),
        ("attnpred train hydra/sweeper=optuna hydra.sweeper.s", ["hydra.sweeper.sampler="], []),
        ("attnpred train hydra/sweeper=o", ["hydra/sweeper=optuna"], []),
        ("attnpred train --c", ["--cfg", "--config-dir"], ["--help"]),
        ("attnpred train --cfg ", ["job"], []),
        ("attnpred evaluate x --split=", ["--split=val", "--split=test"], []),
        ("attnpred predict x --explainer gr", ["gradcam", "grad_attention"], ["rollout"]),
        ("attnpred new ", ["model", "task"], []),
        ("attnpred completion ", list(SHELLS), []),
    ],
)
def test_what_may_follow_is_proposed(line, some, others):
    found = candidates(line)
    assert set(some) <= set(found)
    assert not set(others) & set(found)
    assert all(one.startswith(line.rpartition(" ")[2].rpartition("=")[0]) for one in found)


@pytest.mark.parametrize(
    "line", ["attnpred", "attnpred nothing ", "attnpred train data.source=", "attnpred train 'a b", "attnpred train ~x"]
)
def test_where_nothing_is_known_files_are_left_to_the_shell(line):
    assert candidates(line) == []


def test_runs_are_proposed(place):
    assert candidates("attnpred evaluate ") == [
        "outputs/2026-01-03/c-sweep",
        "outputs/2026-01-02/b",
        "outputs/2026-01-01/a",
    ]
    assert candidates("attnpred evaluate outputs/2026-01-01") == ["outputs/2026-01-01/a"]
    assert candidates("attnpred evaluate else") == ["elsewhere/"]
    assert candidates("attnpred evaluate elsewhere/") == ["elsewhere/d"]
    assert candidates("attnpred compare outputs/2026-01-01/a outputs/2026-01-02/") == ["outputs/2026-01-02/b"]
    assert "outputs/2026-01-01/a" not in candidates("attnpred predict elsewhere/d ")


def test_files_of_ones_own_are_proposed(place):
    (place / "mine" / "model").mkdir(parents=True)
    (place / "mine" / "model" / "small.yaml").write_text("defaults: [transformer]\nwidth: 8\n")
    (place / "mine" / "model" / "broken.yaml").write_text("a: [b\n")
    assert "model=small" in candidates("attnpred train --config-dir mine model=")
    assert "model.width=" in candidates("attnpred train --config-dir=mine model=small model.w")
    assert candidates("attnpred train --config-dir=mine model=broken trainer.prec") == ["trainer.precision="]


def test_nothing_heavy_is_imported(place):
    code = (
        "import sys; from attnpred.cli import main; main(['completion', '--line=attnpred train model=bert model.']);"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True
    )
    assert "model.source=" in done.stdout.split()
    assert done.stderr == "[]\n"


def test_the_command_prints_a_script(capsys):
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        assert "attnpred completion" in capsys.readouterr().out or shell == "bash"
    assert main(["completion"]) == 2
    assert "for which shell?" in capsys.readouterr().err


OWN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A shell at a terminal of its own, at which `attnpred` notes what it is given, or completes."""

    def __init__(self, place: Path, command: list[str]) -> None:
        self.given = place / "given"
        (place / "bin").mkdir()
        tool = place / "bin" / "attnpred"
        tool.write_text(
            f"""#!/bin/sh
if [ "$1" = completion ]; then exec '{sys.executable}' -m attnpred "$@"; fi
printf '%s\\n' "$*" > '{self.given}.part'; mv '{self.given}.part' '{self.given}'
"""
        )
        tool.chmod(0o755)
        path = f"{tool.parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), "TERM": "dumb", "HOME": str(place)}
        self.end, other = pty.openpty()
        # fish asks whose terminal it is
        own = [sys.executable, "-c", OWN, *command]
        self.child = subprocess.Popen(
            own, stdin=other, stdout=other, stderr=other, env=env, cwd=place, start_new_session=True
        )
        os.close(other)

    def send(self, text: str) -> None:
        os.write(self.end, text.encode())

    def listen(self, seconds: float) -> None:
        """Takes what the shell shows, until it is quiet for so long."""
        while select.select([self.end], [], [], seconds)[0]:
            os.read(self.end, 4096)

    def typed(self, text: str) -> str:
        """What the command was given, of a line that was typed so far and completed by the tab key."""
        self.given.unlink(missing_ok=True)
        self.send(f"{text}\t")
        self.listen(4)
        self.send("\n")
        deadline = time.monotonic() + 30
        while not self.given.exists():
            assert time.monotonic() < deadline
            self.listen(0.1)
        return self.given.read_text().rstrip("\n")

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self.end)


SHELL = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(attnpred completion bash)\n"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -u; source <(attnpred completion zsh)\n"),
    "fish": (["fish", "--no-config", "-i"], "attnpred completion fish | source\n"),
}


@pytest.mark.long
@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_completes(shell, place):
    command, loaded = SHELL[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    terminal = Terminal(place, command)
    try:
        terminal.listen(1)
        terminal.send(loaded)
        terminal.listen(2)
        assert terminal.typed("attnpred trai") == "train"
        assert terminal.typed("attnpred train model=tran") == "train model=transformer"
        assert terminal.typed("attnpred train trainer.preci") == "train trainer.precision="
        assert terminal.typed("attnpred train -m model=bert,tran") == "train -m model=bert,transformer"
        assert terminal.typed("attnpred evaluate outputs/2026-01-01") == "evaluate outputs/2026-01-01/a"
        assert terminal.typed("attnpred train data.source=else").startswith("train data.source=elsewhere")
    finally:
        terminal.close()
