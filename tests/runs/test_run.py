"""The run directory: exclusive, described, found, and whole."""

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.files import write_text
from attnpred.runs.run import Run, fresh

MOMENT = datetime(2026, 11, 24, 12)


def config(tmp_path, *overrides):
    return compose.compose([f"output_dir={tmp_path}", *overrides])


def test_launches_of_the_same_second_have_a_directory_each(tmp_path):
    same = config(tmp_path)
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: Run.create(same, []), range(20)))
    assert len({run.path for run in runs}) == 20
    assert all(run.path.name[8:].startswith("-resnet_attention-digits-") for run in runs)


def test_names_that_collide_are_drawn_again(tmp_path, monkeypatch):
    names = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("attnpred.runs.run.secrets.token_hex", lambda _: next(names))
    monkeypatch.setattr("attnpred.runs.run.datetime", SimpleNamespace(now=lambda: MOMENT))  # the same second for both
    first, second = Run.create(config(tmp_path), []), Run.create(config(tmp_path), [])
    assert first.path.name.endswith("aaaa")
    assert second.path.name.endswith("bbbb")


def test_a_directory_that_holds_a_run_is_not_taken_again(tmp_path):
    target = tmp_path / "job"
    target.mkdir()
    Run.create(config(tmp_path), [], str(target))
    with pytest.raises(UserError, match="holds a run already"):
        Run.create(config(tmp_path), [], str(target))


def test_run_is_described(tmp_path):
    run = Run.create(config(tmp_path, "seed=3"), ["seed=3"])
    described = run.description()
    assert described["status"] == "running"
    assert described["overrides"] == ["seed=3"]
    assert described["packages"]["torch"]
    run.finish("failed", ValueError("broken"))
    described = run.description()
    assert described["status"] == "failed"
    assert described["error"] == "ValueError: broken"
    assert described["started"] <= described["ended"]


def test_config_is_read_back(tmp_path):
    run = Run.create(config(tmp_path, "model=transformer", "optimizer.lr=0.123"), [])
    assert Run.find(str(run.path)).config().optimizer.lr == 0.123


@pytest.mark.parametrize(
    ("content", "expected"), [("a: [", "not valid YAML"), ("- 1", "holds no config"), ("seed: x", "model: missing")]
)
def test_damaged_config_is_named(tmp_path, content, expected):
    run = Run.create(config(tmp_path), [])
    (run.path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=expected):
        run.config()


def test_a_config_edited_to_name_a_foreign_class_is_refused(tmp_path):
    run = Run.create(config(tmp_path), [])
    file = run.path / "config.yaml"
    file.write_text(file.read_text().replace("attnpred.tasks.classification.Classification", "os.system"))
    with pytest.raises(UserError, match="not allowed"):
        run.config()


def test_run_without_checkpoint_says_so(tmp_path):
    with pytest.raises(UserError, match="no checkpoint yet"):
        Run.create(config(tmp_path), []).checkpoint()


def test_a_directory_that_cannot_be_filled_is_taken_away(tmp_path, monkeypatch):
    real = Path.mkdir

    def fails(self, *given, **more):
        if self.name == "checkpoints":
            raise OSError(errno.EIO, "Input/output error", str(self))
        real(self, *given, **more)

    monkeypatch.setattr(Path, "mkdir", fails)
    with pytest.raises(UserError, match="cannot be written \\(Input/output error\\)"):
        Run.create(config(tmp_path), [])
    assert not list(tmp_path.glob("*/*/*"))
    assert not list(tmp_path.rglob("run.json"))


def test_unwritable_output_directory_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        fresh(str(tmp_path / "file"), "sweep")


def test_a_failed_write_leaves_the_old_content_and_no_draft(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"status": "running"}))
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud800")
    assert json.loads(file.read_text()) == {"status": "running"}
    assert list(tmp_path.iterdir()) == [file]
