import shutil
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.sweep import job
from tests.data.made import make_text_source
from tests.safety.made import QUICK, Runs, edit_json, files
from tests.sweep.made import FAKE, Sweeps


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Two trained runs, one of texts and one of images, with the data and the cache that they were made with."""
    place = tmp_path_factory.mktemp("trained")
    source = make_text_source(place / "imdb")
    kinds = {
        "text": ["model=transformer", "data=imdb", f"data.source={source}", "data.max_length=24", "model.heads=2"],
        "image": ["data=digits"],
    }
    for kind, choice in kinds.items():
        own = [f"output_dir={place / kind}", f"data.cache_dir={place / 'cache'}"]
        assert main(["train", *choice, *own, *QUICK]) == 0
    found = {kind: next((place / kind).rglob("run.json")).parent for kind in kinds}
    return Runs(found["text"], found["image"], source, place / "cache")


@pytest.fixture
def text_run(runs, tmp_path):
    """A copy that a test may spoil."""
    return runs.copy("text", tmp_path)


@pytest.fixture
def image_run(runs, tmp_path):
    return runs.copy("image", tmp_path)


@pytest.fixture
def refused(capfd):
    """Runs a command that must be refused in one line, and returns that line."""

    def run(*arguments: str) -> str:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert code == 2, (code, err)
        assert len(lines) == 1
        assert err.splitlines()[-1] == lines[0]
        assert "Traceback" not in err
        assert out == ""
        return lines[0]

    return run


@pytest.fixture
def folder(tmp_path):
    """A directory for --config-dir, and what writes an experiment into it."""

    def write(content, name="experiment/theirs.yaml", head="# @package _global_\n"):
        file = tmp_path / "theirs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(head.encode() + content if isinstance(content, bytes) else (head + content).encode())
        return tmp_path / "theirs"

    return write


@pytest.fixture
def given(refused, tmp_path, monkeypatch):
    """The answer to an experiment of a stranger's, which must be a refusal and leave nothing behind."""

    def run(folder, *overrides, verb=("train",)):
        place = tmp_path / "place"
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(place)
        few = ["trainer.max_steps=1", "trainer.limit_batches=1", "model.width=8"]  # where it should not be refused
        line = refused(*verb, "experiment=theirs", "--config-dir", folder, *few, *overrides)
        assert files(place) == set()
        return line

    return run


@pytest.fixture
def sweeps(tmp_path, monkeypatch, capsys):
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(job, "PROGRAM", FAKE)
    monkeypatch.chdir(place)
    return Sweeps(place, monkeypatch, capsys)


@pytest.fixture
def theirs(sweeps, tmp_path):
    """Makes a sweep, all of whose jobs are done but the last, as another user would send it."""

    def make(*overrides, change=lambda values: None):
        assert sweeps.train(*(overrides or ["seed=1,2"])) == 0
        place = Path(shutil.move(sweeps.directory, tmp_path / "theirs"))
        (tmp_path / "config" / "attnpred" / "sweeps.key").unlink()

        def edit(values):
            values["status"] = "interrupted"
            values["overrides"] = [one for one in values["overrides"] if not one.startswith("output_dir")]
            for one in values["jobs"]:
                one["overrides"] = [text for text in one["overrides"] if not text.startswith("output_dir")]
            values["jobs"][-1]["status"] = "waiting"
            change(values)

        edit_json(place / "sweep.json", edit)
        (place / "1" / "run.json").unlink(missing_ok=True)
        sweeps.tell()
        return place

    return make
