"""Packages bring classes and config files where the user named them, and nowhere else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.config import allowed, compose, packages, schema
from attnpred.config.folders import CONF
from attnpred.machine import processes
from attnpred.sweep.job import Job
from tests.config import packages_made

pytestmark = pytest.mark.usefixtures("_alone")


# Who is trusted


def test_a_class_of_a_package_that_was_not_named_is_refused_and_nothing_of_it_runs(package, name, refused):
    packages_made.put(package / "__init__.py", f"open({str(package / 'ran')!r}, 'w')")
    line = refused("train", f"model._target_={name}.net.Net")
    assert f"model._target_={name}.net.Net: made with {name}; give --package {name} if you trust it" in line
    assert name not in sys.modules
    assert not (package / "ran").exists()


def test_neither_a_config_dir_nor_an_option_of_it_brings_a_package(package, name, refused):
    folder = Path.cwd() / "theirs"
    packages_made.put(folder / "model" / "own.yaml", packages_made.YAML.format(name=name))
    packages_made.put(folder / "packages.json", json.dumps({"allowed": [name]}))
    assert f"give --package {name}" in refused("train", "model=own", "--config-dir", folder)


@pytest.mark.parametrize("how", ["option", "option with =", "variable"])
def test_the_user_names_a_package(how, package, name, config_of, monkeypatch):
    given = {"option": ["--package", name], "option with =": [f"--package={name}"], "variable": []}[how]
    if how == "variable":
        monkeypatch.setenv(packages.VARIABLE, f" {name} ,")
    found = config_of(f"model={name}_net", *given)
    assert found["model"]["_target_"] == f"{name}.net.Net"
    assert name not in sys.modules


def test_trust_ends_with_the_command(package, name, config_of, refused):
    config_of(f"model={name}_net", "--package", name)
    assert str(Path.cwd()) in sys.path
    refused("train", f"model={name}_net")
    assert str(Path.cwd()) not in sys.path


def test_the_working_directory_is_imported_from_only_for_a_package_that_lies_there(package, name, config_of):
    before = list(sys.path)
    config_of()
    assert sys.path == before
    config_of("--package", name)
    assert sys.path == [*before, str(Path.cwd())]  # behind all else, which it cannot hide


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("os", "belongs to attnpred or to Python itself"),
        ("attnpred", "belongs to attnpred or to Python itself"),
        ("mine.models", "without dots or paths, as in --package mine"),
        ("my-own", "without dots or paths, as in --package my_own"),
        ("../own", "no name of a package"),
        ("ownpackag", "no such package is installed or lies in"),
        ("ownpackag", "did you mean ownpackage?"),
        ("hollow", "no such package is installed"),
    ],
)
def test_a_package_that_there_is_not_is_one_line(given, expected, refused):
    packages_made.write(Path.cwd(), "ownpackage")
    (Path.cwd() / "hollow").mkdir()
    assert expected in refused("train", "--package", given)


def test_every_verb_takes_packages(capsys):
    for verb in ("check", "runs", "evaluate", "packages"):
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "--package NAME" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "--package mypkg" in capsys.readouterr().out


def test_an_installed_package_is_allowed_once(name, answer, refused, monkeypatch, tmp_path, config_of):
    packages_made.write(tmp_path / "site", name)
    packages_made.install(tmp_path / "site", name, "1.2")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert f"not allowed; --allow {name}" in answer("packages")[1]
    refused("train", f"model._target_={name}.net.Net")
    assert answer("packages", "--allow", name)[:2] == (0, f"allowed: {name}\n")
    assert json.loads(allowed.file().read_text()) == {"allowed": [name]}
    assert config_of(f"model={name}_net")["model"]["kind"] == "round"
    assert "1.2" in answer("packages")[1]
    assert answer("packages", "--forget", name)[0] == 0
    assert f"give --package {name}" in refused("train", f"model._target_={name}.net.Net")
    assert "is not allowed anyway" in refused("packages", "--forget", name)
    assert "no installed package" in refused("packages", "--allow", f"{name}x")


def test_an_allowed_package_that_was_uninstalled_is_in_nobodys_way(answer, config_of):
    packages_made.put(allowed.file(), json.dumps({"allowed": ["gone_since"]}))
    assert config_of()["seed"] == 0
    assert "not installed" in answer("packages")[1]


@pytest.mark.parametrize("content", ["{", "[]", '{"allowed": [1]}', '{"allowed": ["a.b"]}'])
def test_a_damaged_list_is_one_line(content, refused):
    packages_made.put(allowed.file(), content)
    assert "packages.json: " in refused("train")


def test_children_get_the_same_packages(package, name, config_of):
    config_of("--package", name)
    assert processes.environment()[packages.VARIABLE] == name
    assert Job(0, [], Path("0")).command()[-2:] == ["--package", name]
    reader = f"from attnpred.config import packages; packages.trusted(); import {name}; print({name}.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", reader], env=processes.environment(), capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(package / "__init__.py")


# What a package brings


def test_its_files_are_found_checked_and_explained(package, name, answer):
    code, out, _ = answer("check", "--package", name, f"model={name}_net")
    assert (code, out) == (0, f"ok: model={name}_net\n")
    page = answer("train", "--help", "--package", name, f"model={name}_net", f"callbacks={name}_count")[1]
    assert f", {name}_net, " in page
    assert "model.kind=round\n      Which kind. (one of round, square, failing)" in page
    assert "callbacks.count.start=0\n      Where counting begins." in page


def test_check_looks_at_every_file_of_a_package(package, name, answer, monkeypatch):
    from attnpred.commands import check

    packages.trust([name])
    names = [override for overrides in check.shipped() for override in overrides]
    assert {f"model={name}_net", f"callbacks={name}_count", f"logger={name}_lines"} <= set(names)


@pytest.mark.parametrize("file", ["model/bert.yaml", "config.yaml", "hydra/launcher/processes.yaml"])
def test_a_file_of_a_name_that_attnpred_has_is_refused(file, package, name, refused):
    packages_made.put(package / "conf" / file, "seed: 1\n")
    line = refused("train", "--package", name)
    assert str(package / "conf" / file) in line
    assert str(CONF / file) in line


def test_two_packages_do_not_have_a_file_of_one_name(package, name, refused):
    other = packages_made.write(Path.cwd(), f"{name}_b")
    (other / "conf" / "model" / f"{name}_net.yaml").write_text("x: 1\n")
    line = refused("train", "--package", name, "--package", f"{name}_b")
    assert line.count(f"conf/model/{name}_net.yaml") == 2


@pytest.mark.parametrize("file", ["net.py", "models/net.py", "net/__init__.py", "a/b/net.py"])
def test_a_module_lies_anywhere_in_its_package(file, name, config_of):
    module = ".".join([name, *Path(file).with_suffix("").parts]).removesuffix(".__init__")
    text = "from attnpred.models.transformer import TransformerConfig\nclass OwnConfig(TransformerConfig): ...\n"
    packages_made.put(Path.cwd() / name / file, text)  # folders need no __init__.py
    own = ["model=transformer", f"model._target_={module}.Own"]
    assert config_of("--package", name, *own)["model"]["width"] == 128


def test_a_package_may_be_one_file(name, config_of):
    text = "from attnpred.models.transformer import TransformerConfig as T\nclass OwnConfig(T): ...\n"
    packages_made.put(Path.cwd() / f"{name}.py", text)
    assert config_of("--package", name, "model=transformer", f"model._target_={name}.Own")


def test_options_are_read_without_their_module_or_torch(package, name):
    code = (
        "import sys; from attnpred.cli import main; code = main(['train', *sys.argv[1:]]);"
        f"heavy = {{'torch', 'numpy', 'pytorch_lightning', '{name}'}} & set(sys.modules); print(code, sorted(heavy))"
    )
    command = [sys.executable, "-c", code, "--package", name, f"model={name}_net", "model.kind=oval"]
    found = subprocess.run(command, env=processes.environment(), capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "2 []"
    assert "model.kind=oval: must be one of round, square, failing" in found.stderr


def test_options_inherit_and_use_what_stands_beside_them(package, name, refused, config_of):
    model = config_of("--package", name, f"model={name}_net", "model.ngrams=2")["model"]
    assert (model["extra"], model["starred"], model["width"], model["ngrams"]) == (6, 7, 16, 2)
    assert "model.extra=15: is too much" in refused("train", "--package", name, f"model={name}_net", "model.extra=15")
    # the check of the class that it derives from
    assert "heads" in refused("train", "--package", name, f"model={name}_net", "model.heads=3")


def test_a_class_of_options_is_one_and_the_same(package, name):
    packages.trust([name])
    first = schema.options_of(f"{name}.net.Net", "model._target_")
    assert schema.options_of(f"{name}.net.Net", "model._target_") is first
    base = schema.options_of("attnpred.models.transformer.Transformer", "model._target_")
    assert issubclass(first, base)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("net.Nut", "no such class with options of its own"),
        ("net.Nut", "declare NutConfig(ModelConfig) beside it"),
        ("nut.Net", "there is no file of"),
        ("extras.Count", "declare CountConfig(ModelConfig) beside it"),
        ("kinds.SMALL", "declare SMALLConfig(ModelConfig) beside it"),
    ],
)
def test_a_class_that_there_is_not_is_one_line(target, expected, package, name, refused):
    assert expected in refused("train", "--package", name, f"model._target_={name}.{target}")


def test_base_options_need_not_be_listed_but_are_known_everywhere(answer, config_of):
    assert "recompute" not in (CONF / "model" / "transformer.yaml").read_text()
    given = ["model=transformer", "model.recompute=true", "model.frozen=[embed]"]
    model = config_of(*given)["model"]
    assert (model["recompute"], model["frozen"], model["attention_weight"]) == (True, ["embed"], 0.1)
    assert config_of("model=transformer", "model.frozen=[]")["model"]["frozen"] == []
    one, other = (compose.compose(["model=transformer"]).model for _ in range(2))
    assert one.frozen == other.frozen == []
    assert one.frozen is not other.frozen
    assert "model.frozen_levels=0" in answer("train", "--help", "model=transformer")[1]


def test_data_needs_no_more_than_what_has_no_usual_value(name, config_of):
    text = "_target_: attnpred.modalities.image.data.ImageData\nname: own\nsource: builtin:digits\n"
    text += "image_column: image\nlabel_column: label\ntest_flip: false\n"
    text += "augment: {crop: 0, flip: false, cutout: 0, mixup: 0.0, cutmix: 0.0}\n"
    packages_made.put(Path.cwd() / "theirs" / "data" / "own.yaml", text)
    data = config_of("data=own", "data.rows=5", "--config-dir", Path.cwd() / "theirs")["data"]
    assert (data["batch_size"], data["cache_dir"], data["rows"]) == (32, "~/.cache/attnpred", 5)


PLAIN = """
from dataclasses import dataclass
from attnpred.models.transformer import TransformerConfig
@dataclass(kw_only=True)
class PlainConfig(TransformerConfig):
    size: int = 3
    pair: tuple[int, int] = (1, 2)
class BareConfig(TransformerConfig):
    size: int = 3
"""


def test_options_may_be_plain_fields_of_a_dataclass(name, answer, refused, config_of):
    packages_made.put(Path.cwd() / name / "net.py", PLAIN)
    own = ["--package", name, "model=transformer", f"model._target_={name}.net.Plain"]
    assert config_of(*own, "model.size=5")["model"]["size"] == 5
    assert "model.size=x: must be an integer\n" in refused("train", *own, "model.size=x")
    assert "model.pair=1: must be tuple[int, int]" in refused("train", *own, "model.pair=1")
    assert "  model.size=3\n" in answer("train", "--help", *own)[1]
    line = refused("train", "--package", name, "model=transformer", f"model._target_={name}.net.Bare")
    assert "BareConfig declares size, but is no dataclass; write @dataclass(kw_only=True) above it" in line
