"""Sweeps of every combination: what runs when, what is told, and how they go on after whatever stopped them."""

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from attnpred.sweep import parent, state
from attnpred.sweep.job import Job
from attnpred.sweep.kept import masked
from attnpred.sweep.launchers.processes import Processes
from attnpred.sweep.state import Sweep, held, what
from tests.sweep.made import Died, driven
from tests.waiting import wait_for

LRS = "optimizer.lr=0.1,0.2,0.3,0.4"


def test_every_combination_runs_once_and_is_written_down(sweeps):
    assert sweeps.train("optimizer.lr=0.1,0.3", "seed=1,2", "data=digits") == 0
    assert sweeps.out.splitlines()[-1] == str(sweeps.directory)
    assert sorted(sweeps.noted("end")) == ["0", "1", "2", "3"]
    state = sweeps.state()
    assert state["status"] == "done"
    assert [job["overrides"][1:] for job in state["jobs"]] == [
        ["optimizer.lr=0.1", "seed=1", "data=digits"],
        ["optimizer.lr=0.1", "seed=2", "data=digits"],
        ["optimizer.lr=0.3", "seed=1", "data=digits"],
        ["optimizer.lr=0.3", "seed=2", "data=digits"],
    ]
    assert [job["values"]["val/accuracy"] for job in state["jobs"]] == pytest.approx([0.96, 0.96, 1, 1])
    assert sorted(path.name for path in sweeps.directory.iterdir()) == [".lock", "0", "1", "2", "3", "sweep.json"]


def test_values_may_stand_in_a_file(sweeps, tmp_path):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    file = tmp_path / "own" / "experiment" / "two.yaml"
    file.write_text(
        '# @package _global_\nhydra:\n  sweeper:\n    params:\n      optimizer.lr: "0.1,0.2"\n      seed: 7\n'
    )
    assert sweeps.train("experiment=two", "--config-dir", str(tmp_path / "own")) == 0
    assert [job["overrides"][:2] for job in sweeps.jobs()] == [
        ["optimizer.lr=0.1", "seed=7"],
        ["optimizer.lr=0.2", "seed=7"],
    ]
    # what is typed comes before what stands in a file
    assert sweeps.train("experiment=two", "optimizer.lr=0.5", "--config-dir", str(tmp_path / "own")) == 0
    assert len(sweeps.jobs()) == 1


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["hydra.launcher.n_job=2"], "hydra.launcher.n_job: no such option; did you mean hydra.launcher.n_jobs?"),
        (["hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0: must be an integer of at least 1"),
        (["hydra.launcher.on_failure=go"], "must be one of continue, stop"),
        (["hydra/launcher=nobody"], "hydra/launcher=nobody: must be one of"),
        (["hydra/sweeper=nobody"], "hydra/sweeper=nobody: must be one of"),
        (["hydra.launcher.n_jobs=1,2"], "holds for the whole sweep"),
        (["hydra.sweep.dir=elsewhere"], "hydra.sweep.dir=elsewhere: cannot be set"),
        (["hydra.sweeper.params=3"], "hydra.sweeper.params=3: must be a group of names and values"),
        (["seed=1,-1"], "seed=-1: must be an integer"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(sweeps, overrides, named):
    assert sweeps.train("optimizer.lr=0.1,0.2", *overrides) == 2
    assert named in sweeps.err
    assert sweeps.err.count("\n") == 1
    assert not (sweeps.place / "outputs").exists()


def test_failures_are_named_at_once_and_at_the_end_and_the_others_run(sweeps):
    sweeps.tell(fail="optimizer.lr=0.2")
    assert sweeps.train(LRS, "hydra.launcher.n_jobs=2") == 1
    assert sweeps.statuses() == ["done", "failed", "done", "done"]
    assert sweeps.state()["status"] == "failed"
    lines = sweeps.err.splitlines()
    told = [line for line in lines if line.startswith("error: job 1 (optimizer.lr=0.2) failed: told to fail")]
    assert len(told) == 2
    assert lines[-1] == told[0]
    assert str(sweeps.directory / "1" / "job.log") in told[0]


def test_stop_starts_no_further_job_and_stops_those_that_run(sweeps):
    sweeps.tell(fail="optimizer.lr=0.1", seconds=30)
    begun = time.monotonic()
    assert sweeps.train(LRS, "hydra.launcher.n_jobs=2", "hydra.launcher.on_failure=stop") == 1
    assert time.monotonic() - begun < 25
    assert sweeps.statuses() == ["failed", "interrupted", "waiting", "waiting"]
    sweeps.tell()
    assert sweeps.command("resume", str(sweeps.directory)) == 0
    assert sweeps.statuses() == ["done"] * 4


def test_a_sweep_that_ended_is_not_gone_on_with_but_resume_tries_its_failures_again(sweeps):
    sweeps.tell(fail="optimizer.lr=0.2")
    assert sweeps.train(LRS) == 1
    first = sweeps.directory
    sweeps.tell()
    assert sweeps.train(LRS) == 0
    assert sweeps.directory != first
    sweeps.log.unlink()
    assert sweeps.command("resume", str(first)) == 0
    assert sweeps.noted("start") == ["1"]
    assert json.loads((first / "sweep.json").read_text())["status"] == "done"


def test_the_same_command_goes_on_where_jobs_were_killed(sweeps):
    sweeps.tell(seconds=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parent.Parent, "_ended", killed_after(2))
        with pytest.raises(Died):
            sweeps.train(LRS)
    sweeps.log.unlink()
    # how it runs may differ, what it is may not
    assert sweeps.train(LRS, "seed=5") == 0
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 2
    assert sweeps.train(LRS, "resume=never") == 0
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 3
    sweeps.log.unlink()
    assert sweeps.train(LRS, "hydra.launcher.n_jobs=2") == 0
    assert "was not finished; going on with it" in sweeps.err
    assert sweeps.noted("start") == ["3"]  # job 2 says itself that it was done
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 3


def killed_after(count):
    """In place of `Parent._ended`: the parent dies when it hears of one job too many, before it takes note."""
    original, heard = parent.Parent._ended, []

    def ended(self, job, code):
        heard.append(job)
        if len(heard) > count:
            raise Died
        original(self, job, code)

    return ended


def test_two_parents_do_not_run_one_sweep(sweeps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parent.Parent, "_ended", killed_after(0))
        with pytest.raises(Died):
            sweeps.train(LRS)
    directory = sweeps.directory
    lock = held(directory)
    try:
        assert sweeps.command("resume", str(directory)) == 2
        assert "is being run by another process" in sweeps.err
        assert sweeps.train(LRS) == 2  # nor does the same command make two of it
        assert "the same sweep is being run by another process" in sweeps.err
        assert sweeps.err.count("\n") == 1
        assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 1
        assert sweeps.train(LRS, "resume=never") == 0
        assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 2
    finally:
        lock.release()


def test_a_damaged_record_is_named(sweeps):
    assert sweeps.train(LRS) == 0
    strange = (sweeps.directory / "sweep.json").read_text().replace('"directory": "0"', '"directory": "../.."')
    for content in ("{", "[]", '{"jobs": [{}]}', strange):
        (sweeps.directory / "sweep.json").write_text(content)
        assert sweeps.command("resume", str(sweeps.directory)) == 2
        assert "restore the file" in sweeps.err
    assert sweeps.train(LRS) == 0  # nor is it in anybody's way


def test_a_full_disk_is_named_and_the_sweep_goes_on_later(sweeps):
    real, written = state.write_json, []

    def full(path, value):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "write_json", full)
        patch.setattr(state, "CALM", 0)  # the third is that of the first job's start, however slow the disk
        assert sweeps.train(LRS) == 2
    assert "cannot be written (No space left on device" in sweeps.err.splitlines()[-1]
    assert f"attnpred resume {sweeps.directory}" in sweeps.err.splitlines()[-1]
    assert sweeps.train(LRS) == 0
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 1


def test_a_sweep_whose_last_but_one_record_fails_is_done(sweeps, monkeypatch):
    real, failed = state.write_json, []

    def once(path, value):
        if not failed and all(job["status"] == "done" for job in value["jobs"]) and len(value["jobs"]) == 3:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error", str(path))
        real(path, value)

    monkeypatch.setattr(state, "write_json", once)
    monkeypatch.setattr(state, "CALM", 0)
    assert sweeps.train("seed=1,2,3") == 0
    assert failed
    assert json.loads((sweeps.directory / "sweep.json").read_text())["status"] == "done"


def test_a_moved_sweep_goes_on(sweeps):
    sweeps.tell(fail="optimizer.lr=0.2")
    assert sweeps.train(LRS) == 1
    moved = sweeps.directory.rename(sweeps.place / "moved")
    sweeps.tell()
    assert sweeps.command("resume", str(moved)) == 0
    assert {job["status"] for job in json.loads((moved / "sweep.json").read_text())["jobs"]} == {"done"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_jobs_and_leaves_what_can_be_gone_on_with(sweeps, number, code):
    sweeps.tell(seconds=60)
    child = driven(sweeps, LRS, "hydra.launcher.n_jobs=2")
    wait_for(lambda: len(sweeps.noted("start")) == 2, child)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert out == ""
    assert "attnpred resume" in err
    assert sweeps.statuses() == ["interrupted", "interrupted", "waiting", "waiting"]
    assert sweeps.state()["status"] == "interrupted"


@pytest.mark.slow
def test_killed_at_any_moment_it_finishes_every_job_once(sweeps):
    sweeps.tell(seconds=0.2)
    overrides = ["seed=1,2,3,4,5,6,7,8", "hydra.launcher.n_jobs=2"]
    for kills in (2, 4, 6):
        child = driven(sweeps, *overrides)
        wait_for(lambda bound=kills: len(set(sweeps.noted("end"))) >= bound, child)
        child.kill()  # the parent alone: its jobs leave with it
        child.communicate()
    child = driven(sweeps, *overrides)
    out, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    assert Path(out.splitlines()[-1]) == sweeps.directory
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 1
    assert sweeps.statuses() == ["done"] * 8
    assert sorted(sweeps.noted("end")) == [str(number) for number in range(8)]


def test_passwords_are_not_kept_nor_is_how_a_sweep_runs_part_of_what_it_is():
    assert (
        masked("hydra.sweeper.storage=postgresql://me:secret@host/db")
        == "hydra.sweeper.storage=postgresql://me:***@host/db"
    )
    assert (
        masked("s=postgresql://host/db?user=me&password=secret&x=1")
        == "s=postgresql://host/db?user=me&password=***&x=1"
    )
    assert masked("data.source=https://hub/a@b") == "data.source=https://hub/a@b"
    assert what(["seed=1,2", "resume=auto", "hydra/launcher=ray", "hydra.launcher.n_jobs=3"]) == ["seed=1,2"]


def test_the_record_is_written_less_often_where_it_is_large(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path, [], None, "", {})
    written = []
    monkeypatch.setattr("attnpred.sweep.state.write_json", lambda path, value: (written.append(path), time.sleep(0.01)))
    for _ in range(20):
        sweep.save(soon=True)
    assert len(written) == 1
    sweep.save()
    assert len(written) == 2


def test_processes_tell_ends_and_pass_a_stop_on(tmp_path):
    from attnpred.sweep.launchers.processes import ProcessesConfig

    executor = Processes(ProcessesConfig(_target_="", n_jobs=2, on_failure="continue"))
    jobs = [Job(n, [], tmp_path / str(n)) for n in range(2)]
    for job in jobs:
        job.directory.mkdir()
    executor.start(
        jobs[0], [sys.executable, "-S", "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"], str(tmp_path)
    )
    executor.start(jobs[1], [sys.executable, "-S", "-c", "import time; time.sleep(60)"], str(tmp_path))
    assert executor.finished(60) == [(jobs[0], 3)]
    assert (jobs[0].directory / "job.log").read_text() == "why\n"
    assert executor.finished(0) == []
    executor.stop()
    assert executor.finished(60) == [(jobs[1], -signal.SIGTERM)]
    executor.close()


def test_an_interrupted_sweep_that_is_launched_twice_at_once_stays_one(sweeps):
    sweeps.tell(fail="seed=1")
    command = ["seed=1,2,3", "hydra.launcher.on_failure=stop"]
    assert sweeps.train(*command) == 1
    sweeps.tell(seconds=1)
    children = [driven(sweeps, *command) for _ in range(2)]
    told = [child.communicate(timeout=100)[1] for child in children]
    assert sorted(child.returncode for child in children) == [1, 2], told
    assert len(list((sweeps.place / "outputs").glob("*/*-sweep-*"))) == 1
    refusal = next(text for child, text in zip(children, told, strict=True) if child.returncode == 2)
    assert "by another process" in refusal
    assert refusal.count("\n") == 1


def test_a_sweep_that_cannot_be_written_leaves_nothing(sweeps, monkeypatch):
    def fails(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        assert sweeps.train("seed=0,1") == 2
    assert "output_dir=" in sweeps.err.splitlines()[-1]
    assert "Input/output error" in sweeps.err.splitlines()[-1]
    assert not list((sweeps.place / "outputs").rglob("*-sweep-*"))
    assert sweeps.train("seed=0,1") == 0
