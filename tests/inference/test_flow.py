"""How runs go beyond the plain one: several processes, sweeps, failures, mistakes that show late."""

import json
from pathlib import Path

import pytest

from attnpred.cli import main

QUICK = ["model.width=8", "model.depth=1", "trainer.limit_batches=4", "trainer.max_epochs=1"]


def runs_below(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.rglob("run.json"))


def test_two_processes_on_the_cpu_share_one_run_directory(place, tmp_path, capsys):
    place = [*place, "data.eval_batch_size=16"]
    assert main(["train", *place, *QUICK]) == 0
    single = Path(capsys.readouterr().out.splitlines()[-1])
    assert main(["train", *place, *QUICK, "trainer=ddp_cpu", "trainer.devices=2"]) == 0
    double = Path(capsys.readouterr().out.splitlines()[-1])
    assert len(runs_below(tmp_path / "outputs")) == 2
    one, two = (json.loads((run / "metrics.json").read_text()) for run in (single, double))
    assert schema(one) == schema(two)
    assert schema(json.loads((single / "metrics.jsonl").read_text().splitlines()[-1])) == schema(
        json.loads((double / "metrics.jsonl").read_text().splitlines()[-1])
    )
    # each process had four batches of the split, so together they tested twice as many
    assert two["test"]["examples"] > one["test"]["examples"]
    assert main(["evaluate", str(double)]) == 0


@pytest.mark.slow
def test_a_mistake_that_shows_in_a_rank_is_one_line(place, tmp_path, capfd):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "logger=none"]
    diverges = ["optimizer.lr=1e30", "trainer.clip_norm=null", "trainer.log_every_steps=2"]
    assert main(["train", *place, *QUICK, *two, *diverges]) == 2
    told = capfd.readouterr().err
    assert "\nerror: the loss became nan at step 2" in told
    assert "Traceback" not in told
    (run,) = runs_below(tmp_path / "outputs")
    assert json.loads((run / "run.json").read_text())["status"] == "failed"


def schema(value):
    """The names in a result, without its numbers."""
    return {key: schema(inner) for key, inner in value.items()} if isinstance(value, dict) else None


NOTE_RATES = """
import atexit, gc, os

def note():
    import sys
    torch = sys.modules.get("torch")
    for thing in gc.get_objects() if torch and "RANK" in os.environ else []:
        if issubclass(type(thing), torch.optim.Optimizer):
            rate = thing.param_groups[0].get("initial_lr", thing.param_groups[0]["lr"])
            with open(os.environ["ATTNPRED_RATES"], "a") as stream:
                print(sys.argv[-1], os.environ["RANK"], rate, file=stream)

gc.disable()  # what is in a circle with the optimizer stays until the end
atexit.register(note)
"""


@pytest.mark.long
def test_every_job_of_a_sweep_has_a_directory_and_processes_that_train_with_its_options(
    place, tmp_path, capfd, monkeypatch
):
    (tmp_path / "sitecustomize.py").write_text(NOTE_RATES)  # every process begins with it
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ATTNPRED_RATES", str(tmp_path / "rates"))
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.max_steps=2", "trainer.attention_examples=0"]
    assert main(["train", "-m", *place, *QUICK, *two, "optimizer.lr=0.01,0.02", "hydra.launcher.n_jobs=2"]) == 0
    sweep = Path(capfd.readouterr().out.splitlines()[-1])
    runs = runs_below(tmp_path / "outputs")
    assert runs == [sweep.resolve() / name for name in "01"]
    described = [json.loads((run / "run.json").read_text()) for run in runs]
    assert [(d["status"], d["overrides"][-1]) for d in described] == [
        ("done", "optimizer.lr=0.01"),
        ("done", "optimizer.lr=0.02"),
    ]
    noted = {(Path(path).name, rank, rate) for path, rank, rate in map(str.split, (tmp_path / "rates").open())}
    assert noted == {("0", "0", "0.01"), ("0", "1", "0.01"), ("1", "0", "0.02"), ("1", "1", "0.02")}
    # and the tab of hyperparameters compares them
    assert [hyperparameter(sweep / name, "optimizer.lr") for name in "01"] == [0.01, 0.02]


def hyperparameter(run: Path, name: str) -> float:
    """As TensorBoard's HPARAMS tab reads it from a run's events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    files = [file.parent for file in run.rglob("events.out.tfevents.*")]
    for folder in files:
        events = EventAccumulator(str(folder))
        events.Reload()
        contents = events.summary_metadata
        for tag, metadata in contents.items():
            if tag == "_hparams_/session_start_info":
                data = HParamsPluginData.FromString(metadata.plugin_data.content)
                return data.session_start_info.hparams[name].number_value
    raise AssertionError(f"{files}: no hyperparameters")


@pytest.mark.parametrize("looked", [float("inf"), 0], ids=["after a validation", "at the first step"])
def test_a_pruned_run_ends_early_as_pruned_and_can_be_gone_on_with(looked, place, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("attnpred.training.callbacks.stop_pruned.EVERY_SECONDS", looked)
    run = tmp_path / "run"
    run.mkdir()
    (run / "prune").touch()
    arguments = ["train", *place, *QUICK[:-1], "trainer.max_epochs=3", "--run-dir", str(run)]
    assert main(arguments) == 0
    assert json.loads((run / "run.json").read_text())["status"] == "pruned"
    assert not (run / "metrics.json").exists()
    saved = bool(list((run / "checkpoints").glob("*.ckpt")))
    assert saved == (looked > 0)
    assert main(["evaluate", str(run)]) == (0 if saved else 2)
    assert saved or "its sweep ended it before its first validation; go on with it by" in capfd.readouterr().err
    assert main(arguments) == 0  # as a job of its sweep it is over
    assert json.loads((run / "run.json").read_text())["status"] == "pruned"
    assert main(["resume", str(run)]) == 0
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 3


def test_a_job_that_died_as_it_began_begins_anew(place, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("")
    assert main(["train", *place, *QUICK, "--run-dir", str(run)]) == 0
    assert json.loads((run / "run.json").read_text())["status"] == "done"


def test_a_mistake_in_any_job_stops_the_sweep_before_it_starts(place, tmp_path, capsys):
    assert main(["train", "-m", *place, "optimizer.lr=0.01,-1"]) == 2
    assert "optimizer.lr=-1: must be a number above 0" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


@pytest.mark.long
def test_a_failed_job_is_named_and_the_others_run(place, tmp_path, capfd):
    assert main(["train", "-m", *place, *QUICK, "data.augment.cutout=0,8"]) == 1
    errors = capfd.readouterr().err
    assert "data.augment.cutout=8: must be below the images' 8 pixels" in errors
    assert errors.splitlines()[-1].startswith("error: job 1 (")
    assert len(runs_below(tmp_path / "outputs")) == 1


def test_a_failure_of_ours_marks_the_run_and_keeps_the_traceback(place, tmp_path, monkeypatch):
    from attnpred.tasks.classification import Classification

    def fail(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Classification, "loss", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", *place, *QUICK])
    (run,) = runs_below(tmp_path / "outputs")
    described = json.loads((run / "run.json").read_text())
    assert described["status"] == "failed"
    assert described["error"] == "ZeroDivisionError: ours"


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.source=builtin:nothing"],
        ["data.augment.cutout=8"],
        ["trainer=gpu"],
        ["logger=wandb"],
    ],
    ids=lambda value: value[0],
)
def test_mistakes_that_show_late_leave_no_run_behind(overrides, place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("attnpred.runs.loggers.find_spec", lambda name: None)
    assert main(["train", *place, *QUICK, *overrides]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert overrides[0].partition("=")[0].split(".")[0] in error
    assert runs_below(tmp_path / "outputs") == []
