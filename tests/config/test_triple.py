"""Model, dataset and task that do not go together are named, with what would do, before anything heavy is imported."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.config import compose
from attnpred.errors import UserError

REPOSITORY = Path(__file__).parents[2]
MODELS, DATASETS, TASKS = (compose.group_options(group) for group in ("model", "data", "task"))
WRONG = {
    "a model of texts and images": (
        ("bert", "cifar10", "classification"),
        "model=bert data=cifar10: this model reads text and words, the dataset holds image; use "
        "model=resnet_attention or model=transformer or model=vision",
    ),
    "a model of images and texts": (
        ("resnet_attention", "text_pairs", "regression"),
        "model=resnet_attention data=text_pairs: this model reads image, the dataset holds text; use model=bert or "
        "model=recurrent or model=transformer",
    ),
    "a task of numbers and a dataset of classes": (
        ("resnet_attention", "digits", "regression"),
        "data=digits task=regression: this task reads a target of kind number, the dataset has class; use "
        "task=classification",
    ),
    "a task of tags and a dataset of texts": (
        ("transformer", "imdb", "tagging"),
        "data=imdb task=tagging: this task asks about words, the dataset holds text; use task=classification",
    ),
    "a model of images and words": (
        ("resnet_attention", "tags", "tagging"),
        "model=resnet_attention data=tags: this model reads image, the dataset holds words; use model=bert or "
        "model=transformer",
    ),
    "a task of classes and a dataset of tags": (
        ("transformer", "tags", "classification"),
        "data=tags task=classification: this task reads a target of kind class, the dataset has tags; use task=tagging",
    ),
    "a task of labels and a dataset of classes and numbers": (
        ("transformer", "sick", "multilabel"),
        "data=sick task=multilabel: this task reads a target of kind labels, the dataset has class and number; use "
        "task=classification or task=regression",
    ),
}


def words(model, data, task):
    return [f"model={model}", f"data={data}", f"task={task}"]


@pytest.mark.parametrize(("chosen", "said"), WRONG.values(), ids=WRONG)
def test_what_does_not_go_together_is_named_with_what_would(chosen, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words(*chosen)]) == 2
    assert capsys.readouterr() == ("", f"error: {said}\n")
    assert list(tmp_path.iterdir()) == []


def test_it_is_said_before_anything_heavy_is_imported():
    code = (
        "import sys; from attnpred.cli import main\n"
        "codes = [main(['train', *words.split()]) for words in sys.argv[1:]]\n"
        "heavy = {'torch', 'numpy', 'pytorch_lightning', 'transformers', 'datasets'} & set(sys.modules)\n"
        "print(codes, sorted(heavy))"
    )
    given = [" ".join(words(*chosen)) for chosen, _ in WRONG.values()]
    ended = subprocess.run(
        [sys.executable, "-c", code, *given], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == f"{[2] * len(WRONG)} []"


@pytest.mark.parametrize(("model", "data", "task"), list(itertools.product(MODELS, DATASETS, TASKS)), ids=str)
def test_every_three_of_the_configuration_compose_or_are_told_what_would(model, data, task):
    """Whatever is proposed does: no advice leads to another refusal of its kind."""
    if compose.fitting(model, data, task):
        config = compose.compose(words(model, data, task))
        assert config.checkpoint.metric.removeprefix("val/") in config.task.measured()
        # of several tasks each names its own, or takes the dataset's when that is read; what is hidden needs none
        alone = task == "several" or config.task.reads == "itself"
        assert config.target_columns()[0] or config.data.label_column is None or alone
        return
    with pytest.raises(UserError) as refused:
        compose.compose(words(model, data, task))
    assert "\n" not in str(refused.value)
    proposed = re.findall(r"(?:use|or) (model|task|data)=(\w+)", str(refused.value))
    for group, name in proposed:
        chosen = {"model": model, "data": data, "task": task, group: name}
        fault = fault_of(**chosen)
        assert fault is None or f"use {group}=" not in fault
    assert proposed or not any(compose.fitting(other, data, task) for other in MODELS)


def fault_of(model, data, task):
    try:
        compose.compose(words(model, data, task))
    except UserError as error:
        return str(error)
    return None


def test_every_task_and_every_dataset_has_a_model():
    fits = [three for three in itertools.product(MODELS, DATASETS, TASKS) if compose.fitting(*three)]
    assert {model for model, _, _ in fits} == set(MODELS)
    assert {data for _, data, _ in fits} == set(DATASETS)
    assert {task for _, _, task in fits} == set(TASKS)


def test_a_task_says_by_what_its_checkpoints_are_chosen():
    regression = compose.compose(words("transformer", "texts", "regression"))
    named = compose.compose([*words("transformer", "texts", "regression"), "checkpoint.monitor=val/loss"])
    assert (regression.checkpoint.metric, regression.checkpoint.direction) == ("val/r2", "max")
    assert (named.checkpoint.metric, named.checkpoint.direction) == ("val/loss", "min")
    assert compose.compose([]).checkpoint.metric == "val/accuracy"


def test_a_dataset_keeps_a_column_for_each_kind_of_target():
    number = compose.compose(words("transformer", "sick", "regression")).target_columns()
    label = compose.compose(words("transformer", "sick", "classification")).target_columns()
    assert number[1] == "data.targets.number"
    assert label[1] == "data.label_column"
    assert number[0] != label[0]
    several = compose.compose([*words("transformer", "texts", "regression"), "data.label_column=[a,b]"])
    assert several.target_columns() == (["a", "b"], "data.label_column")
