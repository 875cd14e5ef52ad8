from pathlib import Path

import pytest
import yaml

from attnpred.cli import main
from attnpred.config import packages
from tests.config import packages_made


@pytest.fixture
def _alone(tmp_path, monkeypatch):
    """The user's own list, variable and directory play no part, and no trust outlives a test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(packages.VARIABLE, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    packages.trust()
    yield
    monkeypatch.undo()
    packages.trust()


@pytest.fixture
def name(request):
    """Of a package that no other test has: Python keeps what it imported."""
    return "p" + "".join(c for c in request.node.name if c.isalnum()).lower()[-40:]


@pytest.fixture
def package(name):
    return packages_made.write(Path.cwd(), name)


@pytest.fixture
def answer(capfd):
    """Runs a command; its exit code and what it said."""

    def run(*arguments):
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def refused(answer):
    def run(*arguments):
        code, out, err = answer(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith("error: ")
        return err

    return run


@pytest.fixture
def config_of(answer):
    """The config that overrides describe, as it would be kept."""

    def read(*overrides):
        code, out, err = answer("train", "--cfg", "job", *overrides)
        assert code == 0, err
        return yaml.safe_load(out)

    return read
