"""Composition: every kind of mistake gets its one line, and what is right becomes typed options."""

import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.config import compose
from attnpred.config import overrides as overriding
from attnpred.errors import UserError

REPOSITORY = Path(__file__).parents[2]

DATASETS = ", ".join(sorted(file.stem for file in (REPOSITORY / "conf" / "data").glob("*.yaml")))
BAD_OVERRIDES = [
    (["optimizer.lrr=1"], "optimizer.lrr: no such option; did you mean optimizer.lr?"),
    (["lr=1e-3"], "lr: no such option; did you mean optimizer.lr?"),
    (["optimzer.lr=1"], "optimzer: no such option; did you mean optimizer?"),
    (["trainer.max_epoch=3"], "did you mean trainer.max_epochs?"),
    (["trainer.max_epochs=three"], "trainer.max_epochs=three: must be an integer of at least 1"),
    (["trainer.max_epochs=1.5"], "trainer.max_epochs=1.5: must be an integer of at least 1"),
    (["trainer.max_epochs=true"], "trainer.max_epochs=true: must be an integer of at least 1"),
    (["trainer.max_epochs=0"], "trainer.max_epochs=0: must be an integer of at least 1"),
    (["trainer.max_epochs=null"], "trainer.max_epochs=null: must be an integer"),
    (["optimizer.lr=0"], "optimizer.lr=0: must be a number above 0"),
    (["optimizer.lr=nan"], "optimizer.lr=nan: must be a number above 0"),
    (["optimizer.lr=-1"], "optimizer.lr=-1: must be a number above 0"),
    (["optimizer.name=adam"], "optimizer.name=adam: must be one of adamw, sgd, muon, a class of torch.optim"),
    (["trainer.precision=bf16"], "trainer.precision=bf16: must be one of auto, 32-true, bf16-mixed"),
    (["trainer.devices=0"], "trainer.devices=0: must be auto, or an integer of at least 1"),
    (["trainer.deterministic=1"], "trainer.deterministic=1: must be true or false"),
    (["optimizer=adam"], "optimizer=adam: must be one of adamw, finetune, muon, sgd; did you mean adamw?"),
    (["model=resnet"], "model=resnet: must be one of bert, "),
    (
        ["data=imbd", "model=transformer"],
        f"data=imbd: must be one of {DATASETS}; did you mean imdb?",
    ),
    (["modle=bert"], "modle: no such option; did you mean model?"),
    (["+optimizer.lr=1"], "+optimizer.lr=1: every option exists already"),
    (["model@model.encoders.text=brt"], "model=brt: must be one of bert, "),
    (["model@nowhere=bert"], "model@nowhere=bert: "),
    (["+key=typo"], "key: no such option; attnpred train --help lists"),
    (["++optimizer.lrr=1"], "optimizer.lrr: no such option; did you mean optimizer.lr?"),
    (["~optimizer"], "~optimizer: options cannot be deleted"),
    (["optimizer.lr=1,2"], "add -m"),
    (["optimizer"], "optimizer: not an override; write key=value"),
    (["optimizer.lr=[1"], "optimizer.lr=[1: not an override"),
    (["optimizer=[adamw,sgd]"], "optimizer=['adamw', 'sgd']: must be one of adamw, finetune, muon, sgd"),
    (["optimizer.lr={a: 1}"], "optimizer.lr={a: 1}: must be a number above 0"),
    (["output_dir=${nowhere}"], "output_dir: Interpolation key 'nowhere' not found"),
    (["optimizer.lr=${oc.env:ATTNPRED_NO_SUCH}"], "optimizer.lr: "),
    (
        ["model=bert", "data=cifar10"],
        "this model reads text and words, the dataset holds image; use model=resnet_attention or model=transformer",
    ),
    (["model=resnet_attention", "data=imdb"], "use model=bert or model="),
    (["model._target_=os.system"], "model._target_=os.system: not allowed"),
    (["model._target_=attnpred.models.transformer.Nothing"], "no such class with options of its own"),
    (["model._target_=attnpred.runs.run.Run"], "model._target_=attnpred.runs.run.Run: not allowed"),
    (["task._target_=attnpred.models.transformer.Transformer"], "no such class with options of its own"),
    (["trainer=fsdp", "trainer.accelerator=cpu"], "trainer.strategy=fsdp: needs GPUs; on CPU use trainer=ddp_cpu"),
    (["data.val_fraction=0.5", "data.test_fraction=0.5"], "leaves nothing to train on"),
    (["checkpoint.monitor=val/nothing"], "checkpoint.monitor=val/nothing: no such metric; choose one of val/accuracy"),
    (["data.rows=0"], "data.rows=0: must be an integer of at least 1 and at most 1,000,000,000, or null"),
    (
        ["model=transformer", "data=imdb", "data.evidence_column=spans"],
        "data.evidence_column=spans: counts the raw text's characters; set data.strip_html=false",
    ),
    (
        ["model=transformer", "data=cifar10", "data.augment.small_share=0.5", "data.augment.small_side=24"],
        "data.augment.small_share=0.5: this model reads images of one size; set it to 0, and small_side to null",
    ),
    (["data=texts", "model=transformer", "data.text_column=[]"], "data.text_column="),
    (["data=text_pairs", "model=transformer", "data.text_column=[a,a]"], "must name one column, or several different"),
    (
        ["data=text_pairs", "model=transformer", "data.evidence_column=spans"],
        "data.evidence_column=spans: marks places in one text; name one text_column, or set this to null",
    ),
    (["data=texts", "model=transformer", "data.label_column=''"], "data.label_column='': names no column; give one"),
    (
        ["data=texts", "model=transformer", "data.sampling=balanced", "data.token_budget=4096"],
        "data.sampling=balanced: balances batches of equally many texts; set data.token_budget=null",
    ),
    *(
        (
            ["data=sick", "model=transformer", "task=regression", f"data.targets={{number: {value}}}"],
            "each kind needs the",
        )
        for value in ("3", "[]", "[1, a]", "{a: b}", "''")
    ),
    (
        ["data=sick", "model=transformer", "task=regression", "data.targets=3"],
        "data.targets=3: must be a group of names and values, or null",
    ),
    (["data.sampling=evenly"], "data.sampling=evenly: must be one of all, balanced"),
    (["task=regression", "data=texts", "model=transformer", "checkpoint.monitor=val/accuracy"], "no such metric"),
    (["task.focal=2", "task.label_smoothing=0.1"], "task.focal=2: asks for sure answers, which label_smoothing"),
    (["seed=-1"], "seed=-1: must be an integer of at least 0"),
    *(
        ([f"{group}=null"], f"{group}=null: must be one of ")
        for group in ("model", "data", "task", "optimizer", "trainer")
    ),
    (["optimizer.lr=inf"], "optimizer.lr=inf: must be a finite number"),
    (["optimizer.lr=-inf"], "optimizer.lr=-inf: must be a number above 0"),
    (["optimizer.lr=1e400"], "optimizer.lr=inf: must be a finite number"),
    ([f"optimizer.lr=1{'0' * 400}"], "optimizer.lr=an integer of 1,329 bits: must be an integer of 64 bits"),
    (["optimizer.name=RAdam", "optimizer.arguments={eps: [inf]}"], "optimizer.arguments.eps[0]=inf: must be a finite"),
    (["task.class_weights=[1, nan]"], "task.class_weights[1]=nan: must be a "),
    (["trainer.max_steps=9223372036854775808"], "trainer.max_steps=9223372036854775808: must be an integer of 64 bits"),
    (["data.split_seed=99999999999999999999"], "data.split_seed=99999999999999999999: must be an integer of 64 bits"),
    (["model.depth=1000000000000"], "model.depth=1000000000000: must be an integer of at least 1 and at most 1,000"),
    (["model.width=99999999999999999999"], "must be an integer of at least 8 and at most 65,536"),
    (["model=transformer", "model.heads=2000"], "model.heads=2000: must be an integer of at least 1 and at most 1,024"),
    (["data.batch_size=99999999999999999999"], "must be an integer of at least 1 and at most 1,000,000"),
    (
        ["trainer.max_epochs=10000000"],
        "trainer.max_epochs=10000000: must be an integer of at least 1 and at most 1,000,000",
    ),
    (["trainer.devices=99999"], "trainer.devices=99999: must be auto, or an integer of at least 1 and at most 1,024"),
    (["data.cache_dir=''"], "data.cache_dir='': names no directory; give one, such as ~/.cache/attnpred"),
    (["data.source=''"], "data.source='': names nothing; give a hub id, a file or a directory"),
    (
        ["data=sick", "model=transformer", "data.targets={numbr: x}"],
        "or tags or text; did you mean number?",
    ),
]


@pytest.mark.parametrize(("overrides", "expected"), BAD_OVERRIDES, ids=lambda value: str(value)[:60])
def test_bad_override_gets_one_line_and_exit_code_2(overrides, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *overrides]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overrides", [["optimizer.lrr=1"], ["model=bert", "data=cifar10"], ["trainer.max_epochs=0"]])
def test_bad_override_is_answered_before_anything_heavy_is_imported(overrides):
    code = (
        "import sys; from attnpred.cli import main; code = main(['train', *sys.argv[1:]]);"
        "heavy = {'torch', 'numpy', 'pytorch_lightning', 'transformers', 'datasets'} & set(sys.modules);"
        "print(code, sorted(heavy))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *overrides], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "2 []"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("model: [1\n", "broken.yaml"),
        ("optimzer:\n  lr: 1\n", "optimzer: no such option; did you mean optimizer?"),
        ("optimizer:\n  lr: fast\n", "optimizer.lr=fast: must be a number above 0"),
        ("defaults:\n  - override /model: gpt\n", "gpt"),
        ("model:\n  _target_: subprocess.Popen\n", "model._target_=subprocess.Popen: not allowed"),
        ("checkpoint: 3\n", "checkpoint=3: must be a group of options"),
    ],
)
def test_bad_file_gets_one_line(content, expected, capsys, tmp_path):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "broken.yaml").write_text("# @package _global_\n" + content)
    assert main(["train", "experiment=broken", "--config-dir", str(tmp_path), "--cfg", "job"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_missing_config_dir_is_named(capsys, tmp_path):
    assert main(["train", "--config-dir", str(tmp_path / "none")]) == 2
    assert "no such directory" in capsys.readouterr().err


def test_own_file_of_a_group_is_found(tmp_path):
    folder = tmp_path / "optimizer"
    folder.mkdir()
    (folder / "mine.yaml").write_text("defaults:\n  - adamw\nlr: 0.123\n")
    assert compose.compose(["optimizer=mine"], str(tmp_path)).optimizer.lr == 0.123


def test_own_experiment_says_the_seed_unless_the_command_line_does(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\nresume: auto\n")
    config = compose.compose(["experiment=mine"], str(tmp_path))
    assert (config.seed, config.resume) == (7, "auto")
    assert compose.compose(["experiment=mine", "seed=9"], str(tmp_path)).seed == 9


def test_values_arrive_typed():
    config = compose.compose(["optimizer.lr=1", "trainer.max_steps=7", "optimizer.schedule=linear"])
    assert isinstance(config.optimizer.lr, float)
    assert config.trainer.max_steps == 7
    assert config.optimizer.schedule == "linear"


def test_a_model_brings_the_optimizer_that_suits_it_and_the_user_overrules():
    assert compose.compose([]).optimizer.name == "sgd"
    assert compose.compose(["model=bert", "data=sst2"]).optimizer.schedule == "linear"
    assert compose.compose(["model=bert", "data=sst2", "optimizer=sgd"]).optimizer.name == "sgd"


def test_a_file_of_a_group_is_put_in_another_place():
    pair = ["model=crossmodal", "data=easy_vqa"]
    config = compose.compose([*pair, "model@model.encoders.text=recurrent", "model.encoders.text.cell=gru"])
    assert config.model.encoders["text"].cell == "gru"
    named = [f"+task@task.members.{name}.task=classification" for name in ("mood", "topic")]
    named += [f"task.members.{name}.column={name}" for name in ("mood", "topic")]
    texts = ["model=transformer", "data=texts", "data.source=a.csv", "data.text_column=text", "task=several"]
    config = compose.compose([*texts, *named])
    assert list(config.task.members) == ["mood", "topic"]
    sweep = overriding.expand([*pair, "model@model.encoders.text=recurrent,transformer"])
    assert [job[-1].partition("=")[2] for job in sweep] == ["recurrent", "transformer"]
    assert all(compose.compose(job) for job in overriding.expand([*pair, "model@model.encoders.text=recurrent,bert"]))


def test_interpolation_resolves():
    assert compose.compose(["data.eval_batch_size=${data.batch_size}", "data.batch_size=24"]).data.eval_batch_size == 24


def test_config_written_and_read_again_is_the_same():
    import yaml

    config = compose.compose(["model=transformer", "data=imdb"])
    assert compose.plain(compose.checked(yaml.safe_load(compose.as_yaml(config)))) == compose.plain(config)


def test_sweep_expands_to_every_combination_in_order():
    jobs = list(overriding.expand(["optimizer.lr=1e-5,3e-5", "seed=0,1", "data=digits"]))
    assert jobs == [
        ["optimizer.lr=1e-05", "seed=0", "data=digits"],
        ["optimizer.lr=1e-05", "seed=1", "data=digits"],
        ["optimizer.lr=3e-05", "seed=0", "data=digits"],
        ["optimizer.lr=3e-05", "seed=1", "data=digits"],
    ]


def test_a_sweep_without_values_is_refused(capsys):
    assert main(["train", "-m", "optimizer.lr=interval(0.1,0.2)"]) == 2
    assert "optimizer.lr=interval(0.1,0.2): holds no values to go through" in capsys.readouterr().err


def test_changing_a_run_is_held_to_the_allowed_groups():
    config = compose.compose([])
    assert compose.changed(config, ["data.batch_size=7"], ("data",)).data.batch_size == 7
    for override in ("model.depth=3", "data=cifar10", "data.batch_size=1,2", "+data.batch_size=1"):
        with pytest.raises(UserError, match=r"cannot be changed|one plain value"):
            compose.changed(config, [override], ("data",))


def test_help_explains_every_option(capsys):
    assert main(["train", "--help"]) == 0
    page = capsys.readouterr().out
    described = [line for line in page.splitlines() if line.startswith("  optimizer.lr=")]
    assert described == ["  optimizer.lr=0.05"]
    assert "Highest learning rate. (a number above 0)" in page
    assert ", ".join(compose.group_options("model")) in page
    assert main(["train", "model=bert", "data=sst2", "--help"]) == 0
    assert "model.source=bert-base-uncased" in capsys.readouterr().out


def test_cfg_prints_a_config_that_composes_again(capsys):
    import yaml

    assert main(["train", "--cfg", "job", "seed=3"]) == 0
    assert compose.checked(yaml.safe_load(capsys.readouterr().out)).seed == 3
