"""Runs that died go on as if they had not: the same weights, to the last bit, and the same records."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from attnpred.cli import main
from attnpred.data import cache
from attnpred.errors import Interrupted
from attnpred.runs import checkpoint_files
from attnpred.runs.run import Run
from attnpred.training import find_rate
from attnpred.training.callbacks.monitor import Monitor
from attnpred.training.learner import Learner
from tests.data.made import make_text_source
from tests.died import Died, check_same, died, dies_at, records, the_run, train, weights
from tests.waiting import wait_for

EVERYTHING = [
    *("model.dropout=0.2", "task.label_smoothing=0.1", "optimizer.ema=0.9", "trainer.patience=50"),
    *("trainer.accumulate=2", "optimizer=muon", "optimizer.lr=1e-3"),
]


@pytest.fixture
def quick(tmp_path):
    data = ["data=digits", "data.batch_size=64", f"data.cache_dir={tmp_path / 'cache'}", "data.augment.crop=1"]
    model = ["model.width=8", "model.depth=1", "model.heads=2", "data.augment.mixup=0.2"]
    often = ["checkpoint.every_steps=3", "trainer.log_every_steps=2", "trainer.max_epochs=3"]
    return [*data, *model, *often, "trainer.precision=32-true", "logger=csv"]


@pytest.mark.parametrize(
    ("target", "method", "call"),
    [
        pytest.param(Learner, "training_step", 1, marks=pytest.mark.slow),  # before anything was saved
        (Learner, "training_step", 10),  # within the first epoch
        (Learner, "validation_step", 2),  # within a validation
        pytest.param(Learner, "on_validation_epoch_end", 2, marks=pytest.mark.slow),
        pytest.param(Monitor, "on_validation_end", 2, marks=pytest.mark.slow),
        pytest.param(Learner, "training_step", 41, marks=pytest.mark.slow),  # the second batch of the third epoch
        pytest.param(Learner, "test_step", 1, marks=pytest.mark.slow),  # when all is trained
    ],
)
def test_a_run_that_died_goes_on_as_if_it_had_not(target, method, call, quick, tmp_path, monkeypatch, capsys):
    overrides = [*quick, *EVERYTHING]
    whole = train(tmp_path / "whole", overrides)
    run = died(tmp_path / "died", overrides, monkeypatch, target, method, call)
    capsys.readouterr()
    assert main(["resume", str(run.path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(run.path)
    check_same(run, whole)


@pytest.mark.parametrize("every", ["trainer.validate_every_steps=7", "trainer.validate_every_steps=null"])
@pytest.mark.parametrize("at", ["a kill", pytest.param("a signal", marks=pytest.mark.slow)])
def test_a_validation_that_was_left_begins_again(every, at, quick, tmp_path, monkeypatch):
    overrides = [*quick, "checkpoint.every_steps=1", every]
    whole = train(tmp_path / "whole", overrides)
    real, calls = Learner.validation_step, []

    def left(self, batch, batch_idx):
        calls.append(1)
        if len(calls) == 3:
            if at == "a kill":
                raise Died
            signal.raise_signal(signal.SIGTERM)
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "validation_step", left)
        with pytest.raises(Died) if at == "a kill" else nullcontext():
            assert main(["train", *overrides, f"output_dir={tmp_path / 'left'}"]) == 143
    run = the_run(tmp_path / "left")
    assert main(["resume", str(run.path)]) == 0
    check_same(run, whole)


def test_texts_go_on_too_and_more_than_once(tmp_path, monkeypatch):
    source = make_text_source(tmp_path / "imdb")
    small = ["model.width=16", "model.depth=1", "model.heads=2", "data.tokenizer.vocab_size=200", "data.max_length=24"]
    data = ["model=transformer", "data=imdb", f"data.source={source}", f"data.cache_dir={tmp_path / 'cache'}"]
    often = ["checkpoint.every_steps=2", "trainer.log_every_steps=3", "trainer.max_epochs=3", "data.batch_size=8"]
    overrides = [*small, *data, *often, "data.word_dropout=0.2", "trainer.precision=32-true", "logger=csv"]
    whole = train(tmp_path / "whole", overrides)
    steps = weights(whole)["global_step"]
    assert steps > 12
    for call in (5, 4, 6):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, "training_step", call)
            with pytest.raises(Died):
                main(["train", *overrides, f"output_dir={tmp_path / 'died'}", "resume=auto"])
    assert main(["train", *overrides, f"output_dir={tmp_path / 'died'}", "resume=auto"]) == 0
    check_same(the_run(tmp_path / "died"), whole)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_signal_is_no_loss(accumulate, quick, tmp_path, monkeypatch):
    quick = [*quick, f"trainer.accumulate={accumulate}"]
    whole = train(tmp_path / "whole", quick)
    real, steps = Learner.training_step, []

    def signalled(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == 8:
            signal.raise_signal(signal.SIGTERM)
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "training_step", signalled)
        assert main(["train", *quick, f"output_dir={tmp_path / 'left'}"]) == Interrupted(signal.SIGTERM).exit_code
    run = the_run(tmp_path / "left")
    assert run.description()["status"] == "interrupted"
    assert weights(run)["global_step"] == (8 if accumulate == 1 else 3)
    assert main(["resume", str(run.path)]) == 0
    check_same(run, whole)


def test_what_is_damaged_is_named_and_the_one_before_is_used(quick, tmp_path, monkeypatch, capsys):
    whole = train(tmp_path / "whole", quick)
    run = died(tmp_path / "died", quick, monkeypatch, Learner, "training_step", 12)
    last = run.checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    (run.checkpoints / ".last.ckpt.99").write_bytes(b"half")
    assert main(["resume", str(run.path)]) == 0
    assert f"{last}: damaged; going on from before.ckpt" in capsys.readouterr().err
    check_same(run, whole)


def test_nothing_whole_is_refused(quick, tmp_path, capsys):
    run = train(tmp_path, quick)
    run.describe(status="failed")
    for file in run.checkpoints.glob("*.ckpt"):
        file.write_bytes(b"rubbish")
    assert main(["resume", str(run.path)]) == 2
    assert "damaged, and nothing else was saved; restore one of them" in capsys.readouterr().err


def test_a_run_that_is_done_is_left_alone(quick, tmp_path, capsys):
    run = train(tmp_path, quick)
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    assert main(["resume", str(run.path)]) == 0
    assert "is done" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before
    # asked to begin or go on, a done run is not gone on with
    assert main(["train", *quick, f"output_dir={tmp_path}", "resume=auto"]) == 0
    assert len(list(tmp_path.rglob("run.json"))) == 2


@pytest.mark.long
@pytest.mark.parametrize(("method", "call"), [("find", 1), ("_keep", 1), ("find_rate", 1)])
def test_a_search_that_was_killed_begins_again(method, call, quick, tmp_path, monkeypatch):
    overrides = [*quick, "trainer.find=lr", "trainer.max_epochs=1", "resume=auto"]
    whole = train(tmp_path / "whole", overrides)
    died(tmp_path / "died", overrides, monkeypatch, find_rate, method, call)
    check_same(train(tmp_path / "died", overrides), whole)


@pytest.mark.slow
def test_the_same_command_finds_a_run_that_took_what_was_found(quick, tmp_path, monkeypatch):
    overrides = [*quick, "trainer.find=lr", "trainer.max_epochs=1", "resume=auto"]
    whole = train(tmp_path / "whole", overrides)
    run = died(tmp_path / "died", overrides, monkeypatch, Learner, "on_validation_epoch_end", 1)
    assert run.config().trainer.find is None
    check_same(train(tmp_path / "died", overrides), whole)


def test_a_launch_killed_while_it_prepares_leaves_no_run_and_begins_again(quick, tmp_path, monkeypatch):
    overrides = [*quick, "trainer.max_epochs=1", "resume=auto"]
    whole = train(tmp_path / "whole", overrides)
    fresh = [*overrides, f"data.cache_dir={tmp_path / 'other'}", f"output_dir={tmp_path / 'died'}"]
    with monkeypatch.context() as patched:
        # as SIGKILL would, without what cleans up after an exception
        patched.setattr(cache.shutil, "rmtree", lambda *_, **__: None)
        dies_at(patched, cache, "to_disk", 2)
        with pytest.raises(Died):
            main(["train", *fresh])
    assert list((tmp_path / "other").glob("*.part-*"))
    assert not (tmp_path / "died").exists()
    assert main(["train", *fresh]) == 0
    run = the_run(tmp_path / "died")
    assert records(run) == records(whole)
    assert not list((tmp_path / "other").glob("*.part-*"))


def test_a_directory_without_a_description_is_no_run_to_go_on_with(quick, tmp_path, capsys):
    run = train(tmp_path, quick)
    (run.path / "run.json").unlink()
    assert main(["resume", str(run.path)]) == 2
    assert "run.json: cannot be read" in capsys.readouterr().err


def test_a_job_of_a_sweep_goes_on_by_the_command_that_began_it(quick, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", [*quick, "--run-dir", str(tmp_path / "whole" / "0")])
    job = [*quick, "--run-dir", str(tmp_path / "sweep" / "0")]
    died(tmp_path / "sweep", job, monkeypatch, Learner, "training_step", 30)
    check_same(train(tmp_path / "sweep", job), whole)
    again = train(tmp_path / "sweep", job)  # done, it is left alone
    assert len(again.description()["resumed"]) == 1


def test_no_two_processes_train_one_run(quick, tmp_path, capsys):
    run = train(tmp_path, quick)
    run.describe(status="running")
    with run.held():
        assert main(["resume", str(run.path)]) == 2
    assert f"{run.path}: is being trained by another process; wait for it, or stop it" in capsys.readouterr().err


def test_a_moved_run_goes_on(quick, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", quick)
    run = died(tmp_path / "died", quick, monkeypatch, Learner, "training_step", 30)
    moved = Run(tmp_path / "elsewhere")
    shutil.move(run.path, moved.path)
    assert main(["resume", str(moved.path)]) == 0
    check_same(moved, whole)


def test_everything_written_loads_as_plain_data(quick, tmp_path):
    run = train(tmp_path, [*quick, *EVERYTHING])
    written = list(run.path.rglob("*.ckpt"))
    assert {file.name for file in written} == {"best.ckpt", "last.ckpt", "before.ckpt"}
    for file in written:
        torch.load(file, weights_only=True)


def test_a_full_disk_leaves_the_last_checkpoint_whole(quick, tmp_path, monkeypatch, capsys):
    real, saved = torch.save, []

    def fills_up(content, file):
        saved.append(1)
        if len(saved) == 3:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        return real(content, file)

    monkeypatch.setattr(torch, "save", fills_up)
    assert main(["train", *quick, f"output_dir={tmp_path}"]) == 2
    message = capsys.readouterr().err
    assert "cannot be written ([Errno 28] No space left on device); it needs" in message
    assert "MiB are free" in message
    run = the_run(tmp_path)
    assert checkpoint_files.newest(run.checkpoints) is not None
    assert not list(run.checkpoints.glob(".*"))
    assert weights(run)["global_step"] == 6


@pytest.mark.long
def test_two_processes_go_on_too(tmp_path):
    directory = tmp_path / "died"
    whole = finished(tmp_path / "whole")
    child = started(directory)
    try:
        wait_for(lambda: list(directory.rglob("before.ckpt")), child, seconds=300)
        run = the_run(directory)
        os.kill(ranks_of(run)[-1], signal.SIGKILL)
        assert child.wait(60) == 1  # the other rank, torchrun and the launching process do not wait for it
    finally:
        child.kill()
    wait_for(lambda: not ranks_of(run), seconds=300)
    assert run.description()["status"] == "failed"
    assert "a rank of the run failed" in run.description()["error"]
    check_same(finished(directory), whole)


def started(place):
    """A run of two processes, with what such a run can do."""
    overrides = [
        *("trainer=ddp_cpu", "trainer.devices=2", "trainer.max_epochs=3", "trainer.accumulate=2", "resume=auto"),
        *("data=digits", "data.batch_size=64", "data.augment.crop=1", "model.width=8", "model.depth=1"),
        *("model.dropout=0.2", "task.label_smoothing=0.1", "optimizer=sgd", "optimizer.ema=0.95"),
        *("trainer.log_every_steps=3", "checkpoint.every_steps=1", "trainer.attention_examples=8"),
        *(f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"),
    ]
    place.mkdir(exist_ok=True)
    with (place / "said").open("wb") as said:
        command = [sys.executable, "-m", "attnpred", "train", *overrides]
        return subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)


def finished(place):
    assert started(place).wait(300) == 0, (place / "said").read_text()
    return the_run(place)


def ranks_of(run):
    """The processes that train it: torchrun and the ranks, and before each its guard."""
    found = subprocess.run(
        ["pgrep", "-f", f"attnpred.training.train {run.path}"], capture_output=True, text=True, check=False
    )
    return [int(number) for number in found.stdout.split()]
