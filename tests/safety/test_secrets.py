"""What is kept of a run holds no password, no token and nobody's home, wherever these were given."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from attnpred.cli import main
from attnpred.config import compose
from attnpred.console.secrets import hide, scrub, shown
from attnpred.runs import loggers
from attnpred.runs.run import Run
from tests.data.made import make_text_source
from tests.safety.made import QUICK

REPOSITORY = Path(__file__).parents[2]
PLANTED = {
    "MY_API_KEY": "planted-api-key-4711",
    "HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz012345",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "DATABASE_PASSWORD": "planted=pass, word:4712",
}
IN_A_URL = "https://planted-user:planted-4713@example.org/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IN_A_URL, "https://***@example.org/x"),
        ("postgresql+psycopg://me:p@ss:word@host:5432/db", "postgresql+psycopg://***@host:5432/db"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://host/x?token=abc&n=1#top", "https://host/x?token=***&n=1#top"),
        ("https://host/x?X-Amz-Signature=abc&key=def", "https://host/x?X-Amz-Signature=***&key=***"),
        ("--password=hunter22 --n=3", "--password=*** --n=3"),
        ("api_key=abc, rest", "api_key=***, rest"),
        ("hf_abcdefghijklmnopqrstuvwxyz", "***"),
        ("see ghp_0123456789abcdefghij.", "see ***."),
        ("data.token_budget=4096 max_tokens=3", "data.token_budget=4096 max_tokens=3"),
        ("monkey=1 data.key_column=x", "monkey=1 data.key_column=x"),
        ("me@example.org wrote http://host/a@b", "me@example.org wrote http://host/a@b"),
    ],
)
def test_secrets_are_known_by_how_they_look(text, expected):
    assert hide(text) == expected
    assert hide(expected) == expected


def test_secrets_of_the_environment_are_known_by_their_variables_names(monkeypatch):
    for name, value in {**PLANTED, "SHORT_TOKEN": "12", "ORDINARY": "not hidden", "PWD": "/some/where"}.items():
        monkeypatch.setenv(name, value)
    for value in PLANTED.values():
        assert value not in hide(f"before {value} after")
    assert hide("12 not hidden /some/where/x") == "12 not hidden /some/where/x"


def test_home_becomes_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = scrub({"a": [f"{tmp_path}/data", str(tmp_path)], "b": (f"x={tmp_path}/y", 3, None), "c": f"{tmp_path}2/z"})
    assert found == {"a": ["~/data", "~"], "b": ["x=~/y", 3, None], "c": f"{tmp_path}2/z"}
    assert shown(f"{tmp_path}/data") == f"{tmp_path}/data"  # to its owner it is shown as it was typed


def test_a_line_for_the_terminal_cannot_steer_it():
    line = shown(f"a\x1b]0;title\x07\nb\u202ec\u2028d {IN_A_URL} " + "x" * 10_000)
    assert line.isprintable()
    assert "planted" not in line
    assert len(line) < 2100


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A run that was trained, explained and evaluated by a process of its own in a home full of secrets."""
    place = tmp_path_factory.mktemp("planted")
    home = place / "planted-home"
    home.mkdir()
    source = make_text_source(home / "imdb")
    own = {**os.environ, **PLANTED, "HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    outputs = [f"output_dir={home / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    leaks = [f"logger.project='{PLANTED['MY_API_KEY']} {IN_A_URL} {home}/x'", "logger=tensorboard", "logger.csv=true"]
    words = ["model=transformer", "data=imdb", f"data.source={source}", *outputs, *QUICK[:-1], *leaks]
    code = (
        "import pathlib, sys; from attnpred.cli import main; words = ['train', *sys.argv[1:]]; sys.argv[1:] = words\n"
        "assert main(words) == 0\n"
        "(run,) = (str(file.parent) for file in (pathlib.Path.home() / 'outputs').rglob('run.json'))\n"
        "assert main(['explain', run, 'a fine film', '--tensorboard']) == main(['evaluate', run]) == 0"
    )
    command = [sys.executable, "-c", code, *words]
    ended = subprocess.run(command, cwd=place, env=own, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return next((home / "outputs").rglob("run.json")).parent, home


def test_no_file_of_a_run_holds_a_secret_or_the_home(planted):
    run, home = planted
    wanted = [*PLANTED.values(), "planted-4713", "planted-user", str(home)]
    names = [str(file.relative_to(run)) for file in run.rglob("*") if file.is_file()]
    kinds = {"config.yaml", "run.json", "metrics.jsonl", "metrics.json", "metrics.csv", "explanations/inputs.html"}
    assert kinds <= set(names)
    assert any("tfevents" in name for name in names)
    assert any(name.endswith(".ckpt") for name in names)
    for name in names:
        content = (run / name).read_bytes()
        for secret in wanted:
            assert secret.encode() not in content, (name, secret)
            assert json.dumps(secret)[1:-1].encode() not in content, (name, secret)


def test_what_was_planted_would_be_found(planted):
    """It stands where it was given, in what is scrubbed: the options by which the run was launched."""
    run, _ = planted
    described = json.loads((run / "run.json").read_text())
    for place in ("overrides", "command"):
        assert any(re.search(r"logger.project='\*\*\* https://\*\*\*@example.org/x ~/x'", o) for o in described[place])
        assert any(o == "output_dir=~/outputs" for o in described[place])


def test_a_scrubbed_run_is_as_good_as_before(planted, monkeypatch):
    run, home = planted
    monkeypatch.setenv("HOME", str(home))
    config = Run.find(str(run)).config()
    assert config.data.source == "~/imdb"
    assert config.data.cache_dir == "~/cache"
    again = compose.as_yaml(compose.checked(yaml.safe_load((run / "config.yaml").read_text())))
    assert again == (run / "config.yaml").read_text()
    assert main(["evaluate", str(run)]) == 0


def test_the_error_of_a_failed_run_is_scrubbed(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", PLANTED["MY_API_KEY"])
    run = Run(runs.copy("image", tmp_path))
    run.finish("failed", ValueError(f"cannot reach {IN_A_URL} with {PLANTED['MY_API_KEY']}"))
    assert run.description()["error"] == "ValueError: cannot reach https://***@example.org/x with ***"


@pytest.mark.parametrize("name", ["logger.tracking_uri", "data.source", "model.source", "model.init_from"])
def test_a_password_in_an_address_is_not_shown(name, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    choice = ["model=bert", "data=imdb"] if name == "model.source" else []
    monkeypatch.setattr("attnpred.runs.loggers.find_spec", lambda _: True)
    line = refused("train", *choice, f"{name}='{IN_A_URL}'", f"data.cache_dir={tmp_path / 'cache'}")
    assert line.startswith(f"error: {name}=") or name in ("model.init_from", "model.source")
    assert "planted" not in line
    if name == "logger.tracking_uri":
        assert "MLFLOW_TRACKING_PASSWORD" in line


def test_hyperparameters_are_scrubbed_for_every_logger():
    class Other(loggers.MetricsFile.__mro__[1]):
        name, version = "other", 0
        told = None

        def log_metrics(self, *_, **__):
            pass

        def log_hyperparams(self, chosen):
            self.told = chosen

    other = Other()
    config = compose.compose([f"data.source='{IN_A_URL}'"])
    measured = dict.fromkeys(config.task.metrics, 0.5)
    loggers.hyperparameters([other], config, [f"data.source={IN_A_URL}"], {"test": measured})
    assert other.told == {
        **{"model": "resnet_attention", "data": "digits", "data.source": "https://***@example.org/x"},
        **{"seed": 0, "optimizer.lr": 0.05, "data.batch_size": 32, "trainer.max_epochs": config.trainer.max_epochs},
    }


def test_text_in_tensorboard_is_no_markdown(monkeypatch):
    """A value that holds lines would leave the indented block, and could show a picture from elsewhere."""
    written = {}
    writer = type("Writer", (), {"add_text": lambda self, tag, text: written.update({tag: text})})()
    monkeypatch.setattr("attnpred.runs.loggers.tensorboard", lambda _: writer)
    config = compose.compose(["logger.project='x\n\n![a](http://example.org/a.png) <b>'"])
    loggers.describe([], config)
    assert all(line.startswith("    ") for line in written["config"].split("\n"))
    assert "    logger.project: x ![a](http://example.org/a.png) <b>" in written["config"].split("\n")


def test_wandb_is_told_no_more_than_the_metrics():
    assert loggers.UNTOLD["x_disable_meta"]
    assert loggers.UNTOLD["console"] == "off"
