"""Sweeps in SLURM's queue, with commands of its names that start jobs on this machine."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from attnpred.sweep.job import Job
from attnpred.sweep.launchers.submitit import Submitit, SubmititConfig
from tests.sweep import fake_slurm
from tests.waiting import wait_for

pytest.importorskip("submitit", reason="the extra slurm is not installed")
COMMANDS = ("sbatch", "srun", "sacct", "scancel", "scontrol")
QUEUE = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=long"]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Its directory; what it runs ends with the test."""
    folder, place = tmp_path / "bin", tmp_path / "slurm"
    folder.mkdir()
    place.mkdir()
    for name in COMMANDS:
        source = Path(fake_slurm.__file__).read_text()
        (folder / name).write_text(f"#!{sys.executable} -SE\n{source}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(place))
    yield place
    for script in place.glob("*.sh"):
        fake_slurm.send(script.stem, signal.SIGKILL)


def launcher(**changes):
    plain = {"n_jobs": 4, "on_failure": "continue", "cluster": "slurm", "minutes": 60, "cpus": 2, "gpus": 0}
    rest = {"memory_gib": 3.5, "partition": None, "account": None, "setup": [], "sbatch": {"qos": "low"}, "retries": 2}
    return Submitit(SubmititConfig(_target_="", **{**plain, **rest, **changes}))


def job(place, number=0):
    made = Job(number, [], place / str(number))
    made.directory.mkdir()
    return made


def until(executor, jobs):
    ended, deadline = {}, time.monotonic() + 60
    while len(ended) < jobs:
        assert time.monotonic() < deadline
        ended |= {made.number: code for made, code in executor.finished(0.5)}
    return ended


def shell(script):
    return ["bash", "-c", script]


def test_a_sweep_runs_in_the_queue(slurm, sweeps):
    sweeps.tell(fail="seed=1")
    assert sweeps.train(*QUEUE, "seed=0,1,2") == 1
    assert sweeps.statuses() == ["done", "failed", "done"]
    assert "told to fail" in sweeps.err
    script = (slurm / "100.sh").read_text()
    assert "#SBATCH --partition=long" in script
    assert "#SBATCH --cpus-per-task=4" in script


def test_a_job_whose_machine_was_lost_is_queued_again(slurm, tmp_path):
    executor = launcher()
    script = "if [ -e again ]; then exit 0; else touch again; sleep 60; fi"
    executor.start(job(tmp_path), shell(script), str(tmp_path))
    wait_for((tmp_path / "again").exists, seconds=60)
    (slurm / "lost").write_text("100")
    fake_slurm.send("100", signal.SIGKILL)
    assert until(executor, 1) == {0: 0}
    assert (slurm / "101.sh").exists()
    assert "--qos=low" in (slurm / "101.sh").read_text()


def test_a_job_whose_time_is_up_saves_and_is_queued_again(slurm, tmp_path):
    executor = launcher()
    first = "trap 'touch saved; exit 143' TERM; touch begun; while :; do sleep 0.1; done"
    executor.start(job(tmp_path), shell(f"if [ -e saved ]; then exit 0; fi; {first}"), str(tmp_path))
    wait_for((tmp_path / "begun").exists, seconds=60)
    commands = {process: Path(f"/proc/{process}/cmdline").read_text() for process in fake_slurm.processes("100")}
    (waiting,) = [process for process, command in commands.items() if "submitit.core._submit" in command]
    os.kill(waiting, signal.SIGUSR2)
    assert until(executor, 1) == {0: 0}
    assert (tmp_path / "saved").exists()


def test_jobs_that_are_stopped_save_and_say_how_they_ended(slurm, tmp_path):
    executor = launcher()
    for number in range(2):
        script = f"trap 'exit 143' TERM; touch begun{number}; while :; do sleep 0.1; done"
        executor.start(job(tmp_path, number), shell(script), str(tmp_path))
    for number in range(2):
        wait_for((tmp_path / f"begun{number}").exists, seconds=60)
    executor.stop()
    assert until(executor, 2) == {0: 143, 1: 143}
    executor.close()


def test_what_is_missing_is_said_before_anything_is_made(sweeps, monkeypatch):
    monkeypatch.setenv("PATH", str(sweeps.place))
    assert sweeps.train(*QUEUE, "seed=0,1") == 2
    assert "this machine has no srun" in sweeps.err
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert sweeps.train(*QUEUE, "seed=0,1") == 2
    assert "pip install -e '.[slurm]'" in sweeps.err
    assert not (sweeps.place / "outputs").exists()


def test_the_same_road_leads_to_this_machine(sweeps):
    assert sweeps.train("hydra/launcher=submitit_local", "seed=0,1") == 0
    assert sweeps.statuses() == ["done", "done"]
