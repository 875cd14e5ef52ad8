"""What a stranger sends names no package for the user, and reaches no code of one that the user did not name."""

import json
import shutil
import sys

import pytest
import yaml

from attnpred.cli import main
from attnpred.config import packages
from attnpred.machine import processes
from tests.config import packages_made
from tests.safety.made import edit_config, edit_json

EVIL = "evilpackage"
CODE = """
open({ran!r}, "w")
from attnpred.config.options import *
class NetConfig(ModelConfig): open({ran!r}, "w")
"""
PLACES = {
    "model": {"model___target_": f"{EVIL}.net.Net"},
    "data": {"data___target_": f"{EVIL}.net.Net"},
    "task": {"task___target_": f"{EVIL}.net.Net"},
    "optimizer": {"optimizer__name": f"{EVIL}.net.Net"},
    "schedule": {"optimizer__schedule": f"{EVIL}.net.Net"},
    "callback": {"callbacks": {"one": {"_target_": f"{EVIL}.net.Net"}}},
    "logger": {"logger__others": {"one": {"_target_": f"{EVIL}.net.Net"}}},
}


@pytest.fixture
def ran(image_run, tmp_path, monkeypatch):
    """What the package, which lies in the run directory that the user stands in, would leave when any of it runs."""
    file = tmp_path / "ran"
    packages_made.put(image_run / EVIL / "__init__.py", f"open({str(file)!r}, 'w')")
    packages_made.put(image_run / EVIL / "net.py", CODE.format(ran=str(file)))
    monkeypatch.chdir(image_run)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    yield file
    packages.trust()
    sys.modules.pop(EVIL, None)


@pytest.mark.parametrize("place", PLACES)
def test_a_run_names_no_package(place, ran, image_run, refused):
    edit_config(image_run, **PLACES[place])
    edit_json(image_run / "run.json", lambda values: values.update(packages_used={EVIL: "1"}, packages=[EVIL]))
    for verb in (("evaluate", "."), ("resume", "."), ("predict", ".", "x.png")):
        assert f"made with {EVIL} 1; give --package {EVIL} if you trust it" in refused(*verb)
    assert not ran.exists()
    assert EVIL not in sys.modules


@pytest.mark.parametrize("place", PLACES)
def test_a_config_dir_names_no_package(place, ran, folder, given):
    ((name, value),) = PLACES[place].items()
    for key in reversed(name.split("__")):
        value = {key: value}
    assert f"give --package {EVIL}" in given(folder(yaml.safe_dump(value)))
    assert not ran.exists()


def test_where_the_attack_is_allowed_it_works(ran, image_run):
    edit_config(image_run, **PLACES["model"])
    main(["evaluate", ".", "--package", EVIL])
    assert ran.exists()


@pytest.mark.parametrize("target", ["..net.Net", "/net.Net", "net/../net.Net", "net.\0.Net", "", "Net.__class__.mro"])
def test_a_class_of_a_trusted_package_has_a_plain_name(target, image_run, refused, tmp_path, monkeypatch):
    packages_made.write(tmp_path, "plainpackage")
    monkeypatch.chdir(tmp_path)
    edit_config(image_run, model___target_=f"plainpackage.{target}")
    try:
        assert "_target_" in refused("evaluate", image_run, "--package", "plainpackage")
    finally:
        packages.trust()


def test_a_distribution_is_not_trusted_for_being_installed(ran, image_run, refused, tmp_path, monkeypatch):
    site = tmp_path / "site"
    shutil.copytree(image_run / EVIL, site / EVIL)
    packages_made.install(site, EVIL, "1.0")
    monkeypatch.syspath_prepend(site)
    edit_config(image_run, **PLACES["model"])
    assert f"give --package {EVIL}" in refused("evaluate", ".")
    packages_made.put(image_run / "packages.json", json.dumps({"allowed": [EVIL]}))
    packages_made.put(image_run / "attnpred" / "packages.json", json.dumps({"allowed": [EVIL]}))
    assert f"give --package {EVIL}" in refused("evaluate", ".")
    assert not ran.exists()


def test_a_trusted_package_hides_nothing_that_is_installed(ran, image_run):
    packages_made.put(image_run / "colorsys.py", f"open({str(ran)!r}, 'w')")
    packages.trust([EVIL])
    environment = processes.environment()
    assert environment["PYTHONSAFEPATH"] == "1"
    assert sys.path[-1] == str(image_run)
    code = "from attnpred.config import packages; packages.trusted(); import colorsys"
    assert processes.run([sys.executable, "-c", code]) == 0
    assert not ran.exists()
