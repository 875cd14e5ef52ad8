"""A config from a stranger runs no code and looks nothing up."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from attnpred.cli import main
from attnpred.config import compose, untrusted
from attnpred.config.folders import CONF
from attnpred.config.schema import PACKAGE
from attnpred.errors import UserError
from tests.safety.made import edit_config

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)
BAD_YAML = {
    "bomb": (BOMB, "stands for more than"),
    "circle": ("a: &a [*a]\n", "inside what it repeats"),
    "deep": ("a: " + "[" * 100_000, "nest"),
    "deep block": ("".join(" " * i + "a:\n" for i in range(200)), "nested more than"),
    "object": ("a: !!python/object/apply:os.system ['touch ran']\n", "not valid YAML"),
    "module": ("a: !!python/module:os\n", "not valid YAML"),
    "long number": ("seed: " + "9" * 5000 + "\n", "a number of 5,000 characters"),
    "hexadecimal": ("seed: 0x" + "f" * 5000 + "\n", "a number of 5,002 characters"),
    "base 60": ("seed: " + "1:" * 500_000 + "1\n", "a number of 1,000,001 characters"),
    "base 60 by tag": ("seed: !!int '" + "1:" * 500_000 + "1'\n", "a number of 1,000,001 characters"),
    "float of base 60": ("seed: " + "1:" * 500_000 + "1.5\n", "a number of 1,000,003 characters"),
    "empty number": ("seed: !!int ''\n", "a value is not what its tag says"),
    "no truth": ("seed: !!bool maybe\n", "a value is not what its tag says"),
    "no time": ("seed: !!timestamp soon\n", "a value is not what its tag says"),
    "long texts": ("a: &a " + "x" * 100_000 + "\nb: [" + "*a, " * 100 + "]\n", "stands for more than"),
    "no such day": ("seed: 2026-13-45\n", "not valid YAML"),
    "bytes": (b"a: \xff\xfe\n", "not UTF-8"),
    "control": ("a: \x07\n", "not valid YAML"),
    "large": ("# " + "x" * untrusted.LARGEST_FILE, "MiB"),
}
FUNCTIONS = (
    "${oc.env:HOME}",
    "x${oc.env:HOME,none}",
    "${oc.decode:1}",
    "${oc.select:seed}",
    "${oc.create:{a:1}}",
    "${oc.dict.keys:model}",
    "${hydra:runtime.cwd}",
    "${now:%Y}",
    "${own:1}",
    "${${oc.env:NAME}}",
    "${optimizer.${oc.env:NAME}}",
    "\\\\${oc.env:HOME}",
)


@pytest.mark.parametrize("kind", BAD_YAML)
def test_yaml_is_plain_and_within_bounds_in_a_config_dir(kind, folder, given):
    content, expected = BAD_YAML[kind]
    began = time.monotonic()
    line = given(folder(content))
    assert expected in line
    assert "theirs.yaml" in line
    assert time.monotonic() - began < 60  # a bomb would take forever


@pytest.mark.parametrize("kind", BAD_YAML)
def test_yaml_is_plain_and_within_bounds_in_a_run_directory(kind, image_run, refused, tmp_path):
    content, expected = BAD_YAML[kind]
    (image_run / "config.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    line = refused("predict", image_run, tmp_path / "x.png")
    assert expected in line
    assert "config.yaml" in line


@pytest.mark.parametrize("content", ["seed: 1\nseed: 2\n", "- 1\n", "seed: ${\n", "[]: 1\n", "1: 2\n", "null\n", "x\n"])
def test_odd_files_are_one_line(content, folder, given, refused):
    if content == "null\n":  # which is an empty file
        assert compose.compose(["experiment=theirs"], str(folder(content))).seed == 0
    else:
        assert given(folder(content))


def test_a_deeply_nested_value_is_one_line(refused):
    assert "seed=" in refused("train", "seed=" + "[" * 500 + "]" * 500)


def test_aliases_within_bounds_are_read(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 2\n")
    assert untrusted.read_yaml(file) == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_no_function_is_called_for_a_config(text, folder, given, monkeypatch, refused):
    monkeypatch.setenv("NAME", "lr")
    from omegaconf import OmegaConf

    called = []
    OmegaConf.register_new_resolver("own", lambda *_: called.append(1) or "x", replace=True)
    try:
        line = given(folder(f"data:\n  source: '{text}'\n"))
        assert "theirs.yaml: data.source: only other options may be referred to" in line
        quoted = text.replace("\\", "\\\\")
        line = refused("train", f"data.source='{quoted}'")
        assert line.startswith("error: data.source: ")
        assert os.environ["HOME"] not in line
        assert called == []
    finally:
        OmegaConf.clear_resolver("own")


def test_no_function_is_called_for_the_list_of_files(folder, given, monkeypatch):
    monkeypatch.setenv("ATTNPRED_NAME", "a_secret_name")
    line = given(folder("defaults:\n  - override /model: ${oc.env:ATTNPRED_NAME}\n"))
    assert "only other options may be referred to" in line
    assert "a_secret_name" not in line


def test_other_options_are_referred_to(folder):
    place = folder("trainer:\n  log_every_steps: ${data.batch_size}\n")
    assert compose.compose(["experiment=theirs"], str(place)).trainer.log_every_steps == 32


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${seed}", "${nothing", "a${.name}"])
def test_a_runs_config_refers_to_nothing(text, image_run, refused, tmp_path):
    edit_config(image_run, data__source=text)
    for verb in (("predict", image_run, tmp_path / "x"), ("evaluate", image_run), ("resume", image_run)):
        assert "config.yaml: data.source: refers to something" in refused(*verb)


def test_a_trained_runs_options_are_given_as_they_are(image_run, refused, monkeypatch):
    monkeypatch.setenv("ATTNPRED_NAME", "a_secret_name")
    line = refused("evaluate", image_run, "data.source=${oc.env:ATTNPRED_NAME}")
    assert "data.source: refers to something" in line
    assert "a_secret_name" not in line


HOLE = "attnpred.models.{}.Evil"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "attnpred.runs.run.Run",
        "attnpred.models.base.os.system",
        HOLE.format("{directory}/evil"),
        HOLE.format("/proc/self/cwd/evil"),
        HOLE.format("..evil"),
        "attnpred.models.evil\0.Evil",
        ["attnpred.models.bert.Bert"],
        {"a": 1},
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("group", ["model", "data", "task"])
def test_a_class_is_one_of_ours_by_its_plain_name(
    target, group, image_run, folder, given, refused, tmp_path, monkeypatch
):
    """The path of a file is no name, wherever the attacker put that file."""
    ran = tmp_path / "ran"
    base = "from attnpred.config.options import ModelConfig"
    code = f"{base}\nclass EvilConfig(ModelConfig):\n    open({str(ran)!r}, 'w')\n"
    (tmp_path / "evil.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    if isinstance(target, str):
        target = target.replace("{directory}", str(tmp_path))
    edit_config(image_run, **{f"{group}___target_": target})
    assert "_target_" in refused("predict", image_run, "x")
    given(folder(yaml.safe_dump({group: {"_target_": target}})))
    assert not ran.exists()


STEERING = {
    "callback": "hydra:\n  callbacks:\n    evil:\n      _target_: os.system\n      command: touch ran\n",
    "launcher": "hydra:\n  launcher:\n    _target_: subprocess.Popen\n",
    "storage": "hydra:\n  sweeper:\n    storage: postgresql://theirs@example.org/study\n",
    "logging": "hydra:\n  job_logging:\n    version: 1\n    handlers:\n      h:\n        (): os.system\n",
    "environment": "hydra:\n  job:\n    env_set:\n      LD_PRELOAD: /tmp/evil.so\n",
    "directory": "hydra:\n  run:\n    dir: /tmp/elsewhere\n",
    "sweep": "hydra:\n  sweep:\n    dir: /tmp/elsewhere\n    subdir: ../../x\n",
}


@pytest.mark.parametrize("kind", STEERING)
@pytest.mark.parametrize("sweep", [False, True])
def test_hydras_own_settings_are_not_a_strangers(kind, sweep, folder, given):
    more = ["-m", "seed=0,1"] if sweep else []
    assert "changes Hydra's own settings" in given(folder(STEERING[kind]), *more)


@pytest.mark.parametrize("kind", ["launcher", "sweeper"])
def test_a_group_of_hydras_is_not_a_strangers(kind, folder):
    place = folder("_target_: os.system\n", f"hydra/{kind}/evil.yaml", head="")
    with pytest.raises(UserError, match=r"changes Hydra's own settings|_target_=os\.system: not allowed"):
        compose.engine([f"hydra/{kind}=evil"], str(place))


def test_a_file_does_not_choose_the_launcher(folder):
    folder("_target_: os.system\n", "hydra/launcher/evil.yaml", head="")
    place = folder("defaults:\n  - override /hydra/launcher: evil\n")
    launcher, _ = compose.engine(["experiment=theirs"], str(place))
    assert launcher == compose.engine([])[0]


def test_a_sweeper_of_a_file_is_one_of_ours(folder, given):
    theirs = "hydra:\n  sweeper:\n    _target_: subprocess.Popen\n"
    place = folder(f"defaults:\n  - override /hydra/sweeper: basic\n{theirs}")
    assert "hydra.sweeper._target_=subprocess.Popen: not allowed" in given(place, "-m", "seed=0,1")


def test_children_import_nothing_from_where_they_are_started(tmp_path, monkeypatch):
    """A run directory may bring a module's name; who stands in it and resumes on two processes must not run that."""
    from attnpred.machine import processes

    (tmp_path / "colorsys.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    assert processes.run([sys.executable, "-c", "import colorsys"]) == 0
    assert not (tmp_path / "ran").exists()
    subprocess.run([sys.executable, "-c", "import colorsys"], cwd=tmp_path, check=False)
    assert (tmp_path / "ran").exists()  # the attack works where nothing is done against it


def test_every_shipped_cache_is_the_usual_one():
    from attnpred.data import cache

    for file in (CONF / "data").glob("*.yaml"):
        assert yaml.safe_load(file.read_text()).get("cache_dir", cache.USUAL) == cache.USUAL
    assert compose.compose(["data=digits"]).data.cache_dir == cache.USUAL


def test_nothing_here_reads_what_can_run():
    """No pickle, no unsafe YAML and no foreign code is asked for anywhere in the package."""
    for file in PACKAGE.rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        for word in ("pickle.load", "joblib", "yaml.unsafe", "yaml.full", "allow_pickle=True", "instantiate("):
            assert word not in code, (file, word)
        assert "trust_remote_code=True" not in code.replace(" ", "")
        assert '"trust_remote_code":True' not in code.replace(" ", "")


def test_a_class_of_ours_is_still_found():
    with pytest.raises(UserError, match="no such class"):
        compose.compose(["model._target_=attnpred.models.transformer.Nothing"])
    assert main(["check", "seed=1"]) == 0
    assert Path(CONF).is_dir()
