"""Disks that fill up, vanish or refuse: what was saved stays whole, and one line says what to do."""

import errno
import io
import os
import shutil
import subprocess
from contextlib import nullcontext

import pytest

from attnpred.cli import main
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run
from tests.died import the_run

SMALL = ["train", "data=digits", "model.width=8", "model.depth=1", "model.heads=2", "trainer.precision=32-true"]
QUICK = ["trainer.max_epochs=3", "checkpoint.every_steps=3", "trainer.log_every_steps=1"]


@pytest.fixture
def disk(tmp_path):
    """Two mebibytes, where one may mount them."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def free(place):
    return shutil.disk_usage(place).free


def fill(place, *, leave):
    (place / "ballast").write_bytes(b"x" * max(free(place) - leave, 0))


def test_a_disk_that_fills_up(disk, tmp_path, capsys):
    place = [f"output_dir={disk / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    assert main([*SMALL, *QUICK, *place, "trainer.max_epochs=1"]) == 0
    size = (the_run(disk).checkpoints / "last.ckpt").stat().st_size
    shutil.rmtree(disk / "o")
    fill(disk, leave=3 * size)
    assert main([*SMALL, *QUICK, *place]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: {disk}")
    assert "No space left on device" in message or "cannot be written" in message
    run = the_run(disk)
    assert checkpoint_files.newest(run.checkpoints) is not None
    (disk / "ballast").unlink()
    assert main(["resume", str(run.path)]) == 0
    assert run.description()["status"] == "done"


def later(monkeypatch, target, name, spoil, call=1):
    """Spoils the disk right before the method is called for the time `call`; forgets about it after that."""
    real, calls = getattr(target, name), []

    def called(*args, **named):
        calls.append(1)
        if len(calls) == call:
            spoil()
        return real(*args, **named)

    monkeypatch.setattr(target, name, called)


def nothing(*_, **__):
    pass


@pytest.mark.parametrize("kind", ["checkpoint", "metric", "event", "metrics.json", "run.json", "before anything"])
def test_no_room_for(kind, disk, tmp_path, capsys, monkeypatch):
    from pytorch_lightning.loggers import TensorBoardLogger

    from attnpred.runs.loggers import MetricsFile
    from attnpred.training import fit, train

    few = ["trainer.limit_batches=12", "trainer.max_epochs=2", "trainer.attention_examples=0"]
    command = [*SMALL, *QUICK, *few, f"output_dir={disk / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    at = {
        "checkpoint": (checkpoint_files.CheckpointFiles, "save_checkpoint", 2),
        "metric": (MetricsFile, "log_metrics", 1),
        "event": (TensorBoardLogger, "log_metrics", 4),
        "metrics.json": (fit, "write_json", 1),
        "run.json": (Run, "finish", 1),
        "before anything": (train, "prepare", 1),
    }
    with monkeypatch.context() as patched:
        target, name, call = at[kind]
        later(patched, target, name, lambda: fill(disk, leave=0), call)
        if kind == "event":  # alone: neither of the others may fail before
            patched.setattr(MetricsFile, "log_metrics", nothing)
            patched.setattr(checkpoint_files.CheckpointFiles, "save_checkpoint", nothing)
        assert main(command) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: {'output_dir=' if kind == 'before anything' else ''}{disk}"), message
    assert "No space left on device" in message
    (disk / "ballast").unlink()
    if kind == "before anything":
        assert not list(disk.rglob("run.json"))
        assert not list(disk.glob("o/*/*"))
        return
    run = the_run(disk)
    newest = checkpoint_files.newest(run.checkpoints)
    assert (newest is not None) == (kind not in ("metric", "event"))
    assert not [file for file in run.path.rglob(".*") if file.name != ".lock"]
    assert main(["resume", str(run.path)]) == 0
    assert run.description()["status"] == "done"


def test_a_disk_that_takes_no_writes_any_more(disk, tmp_path, capsys, monkeypatch):
    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

    command = [*SMALL, *QUICK, "logger=none", f"output_dir={disk / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    with monkeypatch.context() as patched:
        later(patched, checkpoint_files.CheckpointFiles, "save_checkpoint", lambda: remount("ro"), 2)
        patched.setattr(Run, "held", lambda self: nullcontext())  # a lock that is held keeps a disk from being closed
        assert main(command) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: {disk}")
    assert "Read-only file system" in message
    run = the_run(disk)
    assert checkpoint_files.load(checkpoint_files.newest(run.checkpoints))["global_step"] == 3
    assert main(["resume", str(run.path)]) == 2
    assert "Read-only file system" in capsys.readouterr().err.splitlines()[-1]
    remount("rw")
    assert main(["resume", str(run.path)]) == 0


def test_a_cache_without_room(disk, tmp_path, capsys):
    fill(disk, leave=20_000)
    assert main([*SMALL, *QUICK, f"output_dir={tmp_path / 'o'}", f"data.cache_dir={disk / 'cache'}"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: data.cache_dir={disk / 'cache'}: cannot keep prepared data there (No space left")
    assert "MiB; it needs more)" in message
    assert not (tmp_path / "o").exists()


def test_a_directory_that_vanishes(tmp_path, monkeypatch, capsys):
    from attnpred.training.learner import Learner

    place = [f"output_dir={tmp_path / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    real, steps = Learner.training_step, []

    def step(self, batch, batch_idx):
        steps.append(1)
        if len(steps) == 5:
            shutil.rmtree(tmp_path / "o")
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", step)
    assert main([*SMALL, *QUICK, *place, "logger=none"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "metrics.jsonl: cannot be written (No such file or directory" in message
    assert "attnpred resume" in message


@pytest.mark.parametrize("at", ["metrics.jsonl", "run.json", "events.out", "pixels.bin"])
def test_a_disk_that_breaks_is_named_in_one_line(at, tmp_path, monkeypatch, capsys):
    real, met, number = io.open, [], errno.EIO

    def opened(file, mode="r", *args, **named):
        if at in str(file) and set(mode) & set("wax") and not met:
            met.append(file)
            raise OSError(number, os.strerror(number))  # without a name, as of a file that was open already
        return real(file, mode, *args, **named)

    command = [
        *SMALL,
        f"output_dir={tmp_path / 'o'}",
        f"data.cache_dir={tmp_path / 'cache'}",
        "trainer.limit_batches=4",
    ]
    with monkeypatch.context() as patched:
        patched.setattr(io, "open", opened)
        assert main([*command, "resume=auto"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line.lower()]
    assert line.startswith("error: ")
    assert str(tmp_path) in line
    assert os.strerror(number) in line
    assert main([*command, "resume=auto"]) == 0
    assert len(list(tmp_path.rglob("run.json"))) == 1


def test_an_error_of_the_disk_is_no_mistake_of_ours(monkeypatch, capsys):
    from attnpred.commands import check

    def breaks(args):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/some/file")

    monkeypatch.setattr(check, "main", breaks)
    assert main(["check"]) == 2
    assert capsys.readouterr().err == (
        "error: /some/file: Input/output error; mend the disk or make room, and give the command again\n"
    )


def test_errors_that_are_ours_stay_ours(tmp_path, monkeypatch):
    from attnpred.training.learner import Learner

    def step(self, batch, batch_idx):
        open("/nowhere/at/all")  # noqa: PTH123, SIM115

    monkeypatch.setattr(Learner, "training_step", step)
    place = [f"output_dir={tmp_path / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    with pytest.raises(FileNotFoundError):
        main([*SMALL, *QUICK, *place])
    assert isinstance(the_run(tmp_path), Run)
