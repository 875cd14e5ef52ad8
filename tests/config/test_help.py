"""What the launch command says of a config before anything is trained."""

import pytest
import yaml

from attnpred.cli import main
from attnpred.config import compose
from attnpred.config.folders import CONF


@pytest.fixture
def shown(capsys):
    def run(*arguments):
        assert main(["train", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run


def test_what_was_changed_stands_first_in_the_help(shown):
    page = shown("--help", "optimizer.lr=0.5", "model=transformer")
    head, _, rest = page.partition("\n\n")
    assert head.splitlines()[0] == "Other than the defaults:"
    usual = compose.compose([]).optimizer.lr
    assert f"  optimizer.lr=0.5  (else {usual})" in head
    assert "  model.positions=" in head
    assert "trainer.accelerator" not in head
    assert "Options of trainer:" in rest
    assert shown("--help").startswith("attnpred train")


@pytest.mark.parametrize("said", ["--info", "--cfg job", "hydra", "all", "--config-dir DIR", "# @package _global_"])
def test_the_help_tells_of_it(shown, said):
    assert said in shown("--help")


def test_the_files_of_the_help_are_as_it_says(shown, tmp_path):
    page = shown("--help")
    for name in ("model/small", "experiment/mine"):
        begin = page.index(f"DIR/{name}.yaml")
        block = page[begin:].split("\n\n")[1]
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir()
        file.write_text("\n".join(line.removeprefix("    ") for line in block.splitlines()) + "\n")
    config = compose.compose(["experiment=mine"], str(tmp_path))
    assert (config.model.width, config.data.name, config.optimizer.lr) == (64, "imdb", 1e-4)
    info = shown("--info", "--config-dir", tmp_path, "experiment=mine", "seed=3").splitlines()
    files = [line.strip() for line in info[1 : info.index("")]]
    assert files[0].endswith("conf/config.yaml")
    ends = ("/transformer.yaml", "/small.yaml", "/mine.yaml")
    places = [next(place for place, file in enumerate(files) if file.endswith(end)) for end in ends]
    assert places == sorted(places)
    assert "  seed=3  (else 0)" in info


def test_each_part_of_the_config_is_shown(shown):
    parts = {part: yaml.safe_load(shown("--cfg", part, "hydra/sweeper=optuna")) for part in ("job", "hydra", "all")}
    assert parts["all"] == {**parts["job"], **parts["hydra"]}
    assert set(parts["hydra"]) == {"hydra"}
    assert parts["hydra"]["hydra"]["sweeper"]["sampler"] == "tpe"
    assert "hydra" not in parts["job"]
    assert shown("--info").splitlines()[-1] == "All options are the defaults."
    assert (CONF / "config.yaml").is_file()
