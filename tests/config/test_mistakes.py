"""All mistakes of one command are told at once, and each hint leads somewhere."""

import pytest

from attnpred.cli import main
from attnpred.config import choices, compose, describe, hints, schema
from attnpred.config.options import Config
from attnpred.errors import MOST_TOLD, UserError


def lines(*overrides, config_dir=None):
    with pytest.raises(UserError) as caught:
        compose.compose(list(overrides), config_dir and str(config_dir))
    return caught.value.lines


def test_every_mistake_has_a_line_of_its_own(capsys):
    given = ["trainer.epochs=3", "optimizer.lr=-1e-5", "model=resnet", "model.width=3", "seed=-1", "foo", "~task"]
    assert main(["train", *given]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("error: ").partition(":")[0] for line in told] == [
        *("foo", "model=resnet", "~task", "optimizer.lr=-1e-5", "trainer.epochs", "seed=-1"),
    ]


def test_what_follows_from_another_mistake_is_not_told():
    assert len(lines("model=berd", "model.pooling=first")) == 1
    assert len(lines("experiment=none", "model.pooling=first")) == 1
    assert len(lines("optimizer.epochs=abc")) == 1  # from which trainer.max_epochs is taken
    assert len(lines("optimizer.epochs=abc", "trainer.max_epochs=abc")) == 2
    misfit, other = lines("model=bert", "data=digits", "data.max_length=3", "seed=-1")
    assert misfit.startswith("model=bert data=digits: ")
    assert other.startswith("seed=-1: ")


def test_they_are_bounded():
    told = lines(*(f"data.x{i}=1" for i in range(100)))
    assert len(told) == MOST_TOLD + 1
    assert told[-1] == "and 80 more"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.epochs=3", "did you mean trainer.max_epochs?"),
        ("epochs=3", "did you mean trainer.max_epochs?"),
        ("trainer.gpus=2", "did you mean trainer.devices?"),
        ("precision=bf16", "did you mean trainer.precision=bf16-mixed?"),
        ("trainer.precision=bf16", "did you mean bf16-mixed?"),
        ("trainer.accelerator=cuda", "did you mean gpu?"),
        ("model.pretrained=x", "model.source is an option of model=bert"),
        ("learning_rate=1", "did you mean optimizer.lr?"),
        ("+callbacks=foo", "no package has such a file; name it by --package"),
        ("+seed=1", "so + adds nothing; write seed=1"),
        ("trainer.max_epochs=1e3", "trainer.max_epochs=1e3: must be an integer"),
        ("seed=4294967296", "seed=4294967296: must be an integer of at least 0 and at most 4,294,967,295"),
        ("trainer.nothing_like_it=1", "attnpred train --help lists what there is"),
    ],
)
def test_hints_lead_somewhere(override, said):
    [line] = lines(override)
    assert said in line


def test_every_name_that_is_hinted_at_is_an_option_of_something():
    known = set()
    for group in choices.TRIPLE:
        for name in compose.group_options(group):
            options = choices._described(group, name, None)
            known |= {schema.join(group, one) for one in options.__dataclass_fields__}
    config = compose.compose([])
    known |= set(describe.paths(Config, compose.plain(config)))
    assert set(hints.OPTIONS) <= known
    for word in hints.WORDS.values():
        assert compose.compose([f"trainer.{'accelerator' if word == 'gpu' else 'precision'}={word}"])


def test_a_metric_knows_which_way_is_better():
    assert compose.compose(["checkpoint.monitor=val/loss"]).checkpoint.mode == "min"
    assert compose.compose(["checkpoint.monitor=val/f1"]).checkpoint.mode == "max"
    [line] = lines("checkpoint.monitor=val/loss", "checkpoint.mode=max")
    assert line == "checkpoint.mode=max: less of val/loss is better; leave it out, or say min"
    # a run of an earlier version that did so is still read
    values = compose.plain(compose.compose([]))
    values["checkpoint"].update(monitor="val/loss", mode="max")
    assert compose.checked(values).checkpoint.mode == "max"


@pytest.mark.parametrize(
    ("group", "content", "said"),
    [
        ("experiment", "model:\n  width: 64\n", "begin it with # @package _global_"),
        ("experiment", "# @package _global_\ndefaults: 3\n", "defaults: must be a list"),
        ("experiment", "# @package _global_\ndefaults:\n- [a]\n", "must be the name of a file, or a group and a name"),
        ("experiment", "# @package _global_\ndefaults:\n- override /model: berd\n", "did you mean bert?"),
        ("experiment", "# @package _global_\ndefaults:\n- override /modell: bert\n", "did you mean model?"),
        ("experiment", "# @package _global_\ndefaults:\n- override model: bert\n", "write override /model: bert"),
        ("experiment", "# @package _global_\ndefaults:\n- /model: bert\n", "write override /model: bert"),
        ("model", "defaults:\n- transformr\n", "did you mean transformer?"),
        ("model", "defaults: [transformer]\nwidht: 3\n", "model.widht: no such option; did you mean model.width?"),
        ("model", "a: [b\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_our_words(group, content, said, tmp_path):
    file = tmp_path / group / "mine.yaml"
    file.parent.mkdir()
    file.write_text(content)
    [line] = lines(f"{group}=mine", config_dir=tmp_path)
    assert said in line
    assert "\n" not in line
    assert "provider=" not in line
    assert str(file) in line or line.startswith("model.widht")


def test_a_good_file_is_none_of_them(tmp_path):
    for name, content in {
        "experiment/mine": "# @package _global_\ndefaults: [_self_, override /model: mine, override /data: imdb]\n",
        "model/mine": "defaults:\n- transformer\nwidth: 24\nheads: 2\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(content)
    assert compose.compose(["experiment=mine"], str(tmp_path)).model.width == 24


def test_a_broken_file_breaks_only_what_uses_it(tmp_path):
    for group in ("model", "data", "task", "experiment"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "broken.yaml").write_text("a: [b\n")
    assert compose.compose(["model=transformer", "data=imdb"], str(tmp_path))
    [line] = lines("model=bert", "data=digits", config_dir=tmp_path)
    assert "use model=resnet_attention or" in line
    [line] = lines("data=texts", "model=transformer", "data.targets={foo: x}", config_dir=tmp_path)
    assert "no task reads targets of this kind" in line
    [line] = lines("model=broken", config_dir=tmp_path)
    assert "not valid YAML" in line


def test_a_file_of_the_wrong_ending_is_named(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yml").write_text("width: 3\n")
    [line] = lines("model=mine", config_dir=tmp_path)
    assert line == f"model=mine: {tmp_path / 'model' / 'mine.yml'} is not read; rename it to mine.yaml"
