"""Disks that fill up, vanish or refuse: what was saved stays whole, and one line says what to do."""

import os
import shutil
import subprocess

import pytest

from attnpred import vault
from attnpred.cli import main
from attnpred.run import Run
from tests.test_resume import the_run

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
    assert vault.newest(run.checkpoints) is not None
    (disk / "ballast").unlink()
    assert main(["resume", str(run.path)]) == 0
    assert run.description()["status"] == "done"


def test_a_cache_without_room(disk, tmp_path, capsys):
    fill(disk, leave=20_000)
    assert main([*SMALL, *QUICK, f"output_dir={tmp_path / 'o'}", f"data.cache_dir={disk / 'cache'}"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"error: data.cache_dir={disk / 'cache'}: cannot keep prepared data there (No space left")
    assert not (tmp_path / "o").exists()


def test_a_directory_that_vanishes(tmp_path, monkeypatch, capsys):
    from attnpred.learner import Learner

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


def test_errors_that_are_ours_stay_ours(tmp_path, monkeypatch):
    from attnpred.learner import Learner

    def step(self, batch, batch_idx):
        open("/nowhere/at/all")  # noqa: PTH123, SIM115

    monkeypatch.setattr(Learner, "training_step", step)
    place = [f"output_dir={tmp_path / 'o'}", f"data.cache_dir={tmp_path / 'cache'}"]
    with pytest.raises(FileNotFoundError):
        main([*SMALL, *QUICK, *place])
    assert isinstance(the_run(tmp_path), Run)
