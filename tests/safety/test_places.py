"""A config from a stranger does not say where to write, and is read from its own directory alone."""

import pytest

from attnpred.config import compose
from attnpred.errors import UserError


@pytest.mark.parametrize("name", ["output_dir", "data.cache_dir", "hydra.launcher.n_jobs"])
def test_a_file_does_not_sweep_over_where_to_write(name, folder, given):
    place = folder(f"hydra:\n  sweeper:\n    params:\n      {name}: a,b\n")
    assert "sweeps over where to write" in given(place, "-m")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("data:\n  cache_dir: /tmp/elsewhere\n", "data.cache_dir=/tmp/elsewhere: "),
        ("data:\n  name: ../../../elsewhere\n", "data.name=../../../elsewhere: "),
        ("data:\n  name: /tmp/elsewhere\n", "data.name=/tmp/elsewhere: "),
        ("data:\n  name: ..\n", "data.name=..: "),
        ('data:\n  name: "a\\0b"\n', "data.name="),
        ("logger:\n  mlflow: true\n  tracking_uri: http://example.org\n", "logger.tracking_uri=http://example.org: "),
        ("logger:\n  mlflow: true\n  tracking_uri: file:///tmp/elsewhere\n", "logger.tracking_uri="),
        ("logger:\n  mlflow: true\n  tracking_uri: sqlite:////tmp/elsewhere.db\n", "logger.tracking_uri="),
    ],
)
def test_a_file_does_not_say_where_to_write(content, expected, folder, given):
    assert expected in given(folder(content))


@pytest.mark.parametrize("text", ["/tmp/elsewhere", "../../elsewhere", "${data.name}"])
@pytest.mark.parametrize("group", ["experiment", "model", "trainer", "debug"])
def test_a_file_does_not_say_where_runs_are_made(text, group, folder):
    place = folder(f"output_dir: {text}\n", f"{group}/theirs.yaml")
    with pytest.raises(UserError, match="output_dir"):
        compose.compose([f"{group}=theirs"], str(place))


def test_the_command_line_says_where_to_write(folder, tmp_path):
    config = compose.compose(
        ["experiment=theirs", f"output_dir={tmp_path}", "data.cache_dir=/tmp/own"], str(folder("seed: 1\n"))
    )
    assert (config.output_dir, config.data.cache_dir) == (str(tmp_path), "/tmp/own")


@pytest.mark.parametrize("way", ["../outside/evil", "link", "/outside/evil"])
def test_files_lie_within_the_directory(way, folder, given, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "evil.yaml").write_text("seed: 3\n")
    place = folder(f"defaults:\n  - /experiment/../../{way}\n" if way != "link" else "seed: 1\n")
    if way == "link":
        (place / "experiment" / "theirs.yaml").unlink()
        (place / "experiment" / "theirs.yaml").symlink_to(outside / "evil.yaml")
    line = given(place)
    assert "lies outside" in line or "must be one of adversarial, checkpoint, " in line
    assert "seed" not in line
