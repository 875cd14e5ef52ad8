"""Optional loggers: refused where their package is missing, made with what was asked where it is there."""

import errno
import os
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.runs import loggers


def options(*overrides):
    return compose.compose(list(overrides)).logger


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_the_remedy(name, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=rf"logger.{name}=true: .* pip install -e '\.\[{name}\]'"):
        loggers.check(options(f"logger={name}"))


def test_nothing_is_asked_of_packages_that_are_not_chosen(monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    loggers.check(options())


@pytest.mark.parametrize(("name", "kind"), [("wandb", "WandbLogger"), ("mlflow", "MLFlowLogger")])
def test_a_chosen_logger_gets_what_was_asked(name, kind, monkeypatch, tmp_path):
    made = {}

    def make(*values, **named):
        made.update(named, values=values)
        return loggers.MetricsFile(tmp_path / "unused")

    monkeypatch.setattr(f"pytorch_lightning.loggers.{kind}", make)
    loggers.make(options(f"logger={name}", "logger.project=mine", "logger.offline=true"), tmp_path / "run")
    if name == "wandb":
        again = {"id": "run", "resume": "allow", "settings": loggers.UNTOLD}  # a run that goes on stays one run
        assert made == {"values": ("run",), "save_dir": tmp_path / "run", "project": "mine", "offline": True, **again}
    else:
        own = {"run_name": "run", "tags": {"mlflow.source.name": "attnpred"}}
        assert made == {"values": ("mine",), "tracking_uri": f"sqlite:///{tmp_path}/run/mlflow.db", **own}


def test_how_a_run_ended_is_on_the_disk_before_its_process_may_end(monkeypatch, tmp_path):
    real = RecordWriter.write

    def slow(self, data):
        time.sleep(0.1)
        real(self, data)

    monkeypatch.setattr(RecordWriter, "write", slow)
    config = compose.compose([])
    measured = dict.fromkeys(config.task.metrics, 0.5)
    loggers.hyperparameters(loggers.make(config.logger, tmp_path), config, [], {"test": measured})
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert set(shown.Tags()["scalars"]) == {f"result/test/{name}" for name in measured}
    assert "_hparams_/session_end_info" in shown.PluginTagToContent("hparams")


def test_an_error_of_the_disk_is_told_as_one(tmp_path, monkeypatch):
    (_, curves) = loggers.make(options("logger=tensorboard", "logger.csv=false"), tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(curves.experiment, "add_scalar", fail)
    with pytest.raises(OSError, match="Input/output error") as met:
        curves.log_metrics({"loss": 0.5}, 1)
    assert met.value.filename == str(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="not supported"):
        curves.log_metrics({"loss": "much"}, 1)
