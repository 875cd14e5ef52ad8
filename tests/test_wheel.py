"""The wheel that `python -m build` makes: complete, well described, and at work in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from attnpred.version import __version__

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def run(*words: str | Path, **environment: str) -> str:
    """What a command prints; the checkout is not on its path."""
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ATTNPRED_PACKAGES")}
    told = subprocess.run(
        [str(word) for word in words], env={**outside, **environment}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    for needed in ("build", "hatchling"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, REPOSITORY)
    [found] = place.glob("*.whl")
    return found


def test_it_holds_code_configs_and_licence(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    for folder in ("attnpred", "conf"):
        for file in (REPOSITORY / folder).rglob("*"):
            if file.suffix in (".py", ".yaml", ".html", ".js", ".css"):
                inside = file.relative_to(REPOSITORY).as_posix()
                assert (inside if folder == "attnpred" else f"attnpred/{inside}") in names
    assert "attnpred/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/", "docs/")) for name in names)
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nDescription-Content-Type: text/markdown\n" in metadata


def test_indexes_would_take_it(wheel: Path):
    pytest.importorskip("twine", reason="twine is not installed")
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", wheel)


def test_it_works_in_a_fresh_environment(wheel: Path, tmp_path: Path):
    """What it depends on comes from here, but not attnpred itself: a path in a .pth file lets no other .pth be read."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    here = run(python, "-I", "-c", "import attnpred; print(attnpred.__file__)").strip()
    assert Path(here).is_relative_to(site)
    command = tmp_path / "env" / "bin" / "attnpred"
    assert run(command, "--version") == f"attnpred {__version__}\n"
    assert run(command, "check", "model=transformer", "data=imdb") == "ok: model=transformer data=imdb\n"
