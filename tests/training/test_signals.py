"""What a signal does to a run: alone, among ranks, in a job of SLURM's, and wherever in its course it comes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.errors import Interrupted
from tests.inference.test_flow import QUICK, runs_below
from tests.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_saves_and_leaves(number, code, place, tmp_path):
    command = [sys.executable, "train.py", *place, "model.width=8", "model.depth=1", "trainer.max_epochs=10000"]
    child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list((tmp_path / "outputs").rglob("best.ckpt")), child)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert out == ""
    (run,) = runs_below(tmp_path / "outputs")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "checkpoints" / "last.ckpt").is_file()
    said = r"(interrupted|terminated): saved up to step [\d,]+; go on by attnpred resume (\S+)"
    assert (told := re.fullmatch(said, err.splitlines()[-1]))
    assert Path(told[2]) == run
    assert main(["evaluate", str(run)]) == 0


@pytest.mark.parametrize("saved_before", [False, True])
def test_a_second_interrupt_while_saving_is_no_full_disk(saved_before, place, tmp_path, monkeypatch, capsys):
    """What was saved before stays whole, and the run can be gone on with."""
    from attnpred.runs import checkpoint_files
    from attnpred.training.learner import Learner

    step, write = Learner.training_step, checkpoint_files.Summed.write
    stopping = []

    def interrupted(self, batch, batch_idx):
        if self.trainer.global_step == 1:
            stopping.append(True)
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    def interrupted_again(self, data):
        if stopping:
            signal.raise_signal(signal.SIGINT)
        return write(self, data)

    monkeypatch.setattr(Learner, "training_step", interrupted)
    monkeypatch.setattr(checkpoint_files.Summed, "write", interrupted_again)
    often = ["checkpoint.every_steps=1"] if saved_before else []
    handler = signal.getsignal(signal.SIGINT)
    assert main(["train", *place, *QUICK, "trainer.max_steps=6", *often]) == 130
    signal.signal(signal.SIGINT, handler)
    (run,) = runs_below(tmp_path / "outputs")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    err = capsys.readouterr().err
    assert "cannot be written" not in err
    said = "saved up to step 1; go on by" if saved_before else "nothing was saved yet; begin it anew by"
    assert err.splitlines()[-1] == f"interrupted: {said} attnpred resume {run}"
    monkeypatch.undo()
    assert main(["resume", str(run)]) == 0


def test_a_second_interrupt_leaves_at_once():
    from attnpred.training.callbacks.signals import Signals

    signals = Signals(checkpoints=None)
    signals._note(signal.SIGINT, None)
    with pytest.raises(Interrupted) as caught:
        signals._note(signal.SIGINT, None)
    assert caught.value.exit_code == 130


def test_ranks_hear_one_signal_twice(monkeypatch):
    from attnpred.training.callbacks.signals import SAME, Signals

    signals = Signals(checkpoints=None)
    signals.ranks, now = 2, 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    signals._note(signal.SIGINT, None)
    signals._note(signal.SIGINT, None)  # from the terminal, and from torchrun
    now += SAME + 0.1
    with pytest.raises(Interrupted):
        signals._note(signal.SIGINT, None)


def test_ranks_agree_within_seconds_however_long_a_step_takes(monkeypatch):
    from types import SimpleNamespace

    from attnpred.training.callbacks.signals import AGREE_SECONDS, AGREE_STEPS, Signals

    now, asked = 0.0, []

    def reduce(told, reduce_op):
        asked.append(now)
        return told

    monkeypatch.setattr(time, "monotonic", lambda: now)
    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(reduce=reduce, root_device="cpu"))
    signals = Signals(checkpoints=None)
    for seconds, between in ((0.01, AGREE_STEPS * 0.01), (0.5, AGREE_SECONDS), (30.0, 30.0)):
        for _ in range(50):
            now += seconds
            signals._asked(trainer)
        assert asked[-1] - asked[-2] == pytest.approx(between)
    signals.save_asked = True
    assert signals._asked(trainer) == (False, True)


@pytest.mark.parametrize("stage", ["preparing", "testing"])
def test_a_termination_outside_the_training_loop_is_one_too(stage, place, tmp_path, monkeypatch):
    from attnpred.data import cache
    from attnpred.training.learner import Learner

    def terminate(*_, **__):
        signal.raise_signal(signal.SIGUSR1)  # nothing to save
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(*((cache, "checksum") if stage == "preparing" else (Learner, "test_step")), terminate)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    assert main(["train", *place, *QUICK]) == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before
    runs = runs_below(tmp_path / "outputs")
    assert [json.loads((run / "run.json").read_text())["status"] for run in runs] == ["interrupted"] * len(runs)
    assert len(runs) == (stage == "testing")
    assert not list((tmp_path / "cache").glob("*.part-*"))


def test_slurm_puts_a_job_back_into_its_queue(place, tmp_path, monkeypatch, capsys):
    """By Lightning's own handler, but between two steps, and into no file that another run would take for its own."""
    from attnpred.runs import checkpoint_files
    from attnpred.training.learner import Learner

    tool = tmp_path / "bin" / "scontrol"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho $@ >> {tmp_path / 'called'}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    for name, value in {"JOB_ID": "77", "JOB_NAME": "night", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.chdir(tmp_path)
    real, seen = Learner.training_step, []

    def step(self, batch, batch_idx):
        seen.append(self.trainer.global_step)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGUSR1)
        if len(seen) == 3:  # the step was saved whole before the job went back
            assert (tmp_path / "called").read_text() == "requeue 77\n"
            (run,) = runs_below(tmp_path / "outputs")
            assert checkpoint_files.load(run / "checkpoints" / "last.ckpt")["global_step"] == 2
            signal.raise_signal(signal.SIGTERM)  # as SLURM then does
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "training_step", step)
        assert main(["train", *place, *QUICK, "resume=auto"]) == 143
    assert main(["train", *place, *QUICK, "resume=auto"]) == 0
    (run,) = runs_below(tmp_path / "outputs")
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert not list(tmp_path.rglob("hpc_ckpt*"))
    assert (tmp_path / "called").read_text() == "requeue 77\n"


def test_an_interrupt_outside_the_training_loop_is_an_interrupt_too(place, tmp_path, monkeypatch):
    from attnpred.training.learner import Learner

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "configure_optimizers", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    assert main(["train", *place, *QUICK]) == 130
    signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones from then on
    (run,) = runs_below(tmp_path / "outputs")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
