"""Training on rows without labels."""

import json
import random
from pathlib import Path

import pytest
import torch

from attnpred.cli import main
from attnpred.config import compose
from attnpred.contracts import AnswerSpec
from attnpred.training.fit import prepare
from attnpred.training.learner import Learner
from attnpred.training.self_training import labels
from tests import died

QUICK = ["data=texts", "data.batch_size=8", "trainer.attention_examples=0", "trainer.accelerator=cpu"]
QUICK += ["model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "model.ngrams=1", "data.max_length=8"]
QUICK += ["data.text_column=text", "data.label_column=label"]
QUICK += ["trainer.max_epochs=2", "data.labelled=12", "data.word_dropout=0.1", "optimizer.lr=0.02"]
SURE = "self_training.threshold=0.55"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    drawn, lines = random.Random(0), []
    for row in range(100):
        label = ("good", "bad")[row % 2]
        words = {"good": ["fine", "great"], "bad": ["poor", "dull"]}[label] + ["the", "film", "day"]
        lines.append({"text": " ".join(drawn.choices(words, k=5)), "label": label})
    (folder / "few.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    partly = [{**one, "label": one["label"] if row < 60 else None} for row, one in enumerate(lines)]
    (folder / "partly.jsonl").write_text("".join(json.dumps(one) + "\n" for one in partly))
    return folder


@pytest.fixture(scope="module")
def given(place):
    return [*QUICK, f"data.source={place / 'few.jsonl'}", f"data.cache_dir={place / 'cache'}"]


@pytest.fixture(scope="module")
def teacher(place, given):
    assert main(["train", *given, f"output_dir={place / 'teacher'}", "logger=none"]) == 0
    return next((place / "teacher").rglob("run.json")).parent


def epoch(data):
    """The rows of train in an epoch, and their labels."""
    batches = list(data.loader("train"))
    return torch.cat([b.ids for b in batches]).tolist(), torch.cat([b.targets["label"] for b in batches]).tolist()


def test_a_teacher_labels_rows_of_which_it_is_sure(given, place, teacher, capsys):
    few, _ = prepare(compose.compose(given))
    kept, own = epoch(few)
    assert len(kept) == 12
    data, _ = prepare(compose.compose([*given, f"self_training.teacher={teacher}", SURE]))
    rows, said = epoch(data)
    assert len(set(rows)) == len(rows) > 12
    assert dict(zip(kept, own, strict=True)).items() <= dict(zip(rows, said, strict=True)).items()
    assert f"labels {len(rows) - 12} of 68 rows" in capsys.readouterr().err
    assert main(["train", *given, f"self_training.teacher={teacher}", "self_training.threshold=1"]) == 2
    assert "the teacher is as sure of none of 68 rows" in capsys.readouterr().err


def test_rows_that_never_had_a_label_are_used_too(given, place):
    config = [*given, f"data.source={place / 'partly.jsonl'}", "data.on_bad_row=skip", "data.labelled=null"]
    data, learner = prepare(compose.compose([*config, "self_training=consistency", "self_training.threshold=0"]))
    assert learner.consistency is not None
    assert learner.consistency._loader.examples == 40
    batch = next(iter(data.loader("train")))
    learner.model.eval()
    torch.manual_seed(0)
    apart = learner.consistency.loss(learner.model, batch, 0)
    assert apart > 0  # words are dropped
    learner.consistency._augment = lambda one, epoch: one
    assert learner.consistency.loss(learner.model, batch, 0).item() == pytest.approx(0, abs=1e-6)


def test_a_run_on_rows_without_labels_goes_on_to_the_same_bits(given, tmp_path, monkeypatch, teacher):
    overrides = [*given, f"self_training.teacher={teacher}", SURE, "self_training.consistency=1"]
    overrides += ["checkpoint.every_steps=2", "logger=csv", "trainer.precision=32-true", "trainer.limit_batches=4"]
    whole = died.train(tmp_path / "whole", overrides)
    run = died.died(tmp_path / "died", overrides, monkeypatch, Learner, "training_step", 6)
    assert main(["resume", str(run.path)]) == 0
    died.check_same(run, whole)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data.labelled=null"], "every row has a label; set data.labelled=1000"),
        (["data.labelled=81"], "data.labelled=81: the train part has 80 rows"),
        (["task=regression"], "gives classes or labels"),
        (["self_training.teacher=nowhere"], "nowhere: no such directory"),
    ],
)
def test_what_cannot_be_done_is_refused(given, teacher, overrides, told, capsys, tmp_path):
    if "task=regression" in overrides:
        file = tmp_path / "numbers.jsonl"
        file.write_text("".join(json.dumps({"text": f"a {n}", "label": n / 7}) + "\n" for n in range(60)))
        overrides = [*overrides, f"data.source={file}"]
    words = [*given, f"self_training.teacher={teacher}", f"output_dir={tmp_path / 'no'}", *overrides]
    assert main(["train", *words]) == 2
    assert told in capsys.readouterr().err
    assert not Path(tmp_path / "no").exists()


def test_an_answer_is_as_sure_as_its_least_sure_label():
    said, sure = labels(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), AnswerSpec(2))
    assert said.tolist() == [0, 1]
    assert sure.tolist() == pytest.approx([torch.sigmoid(torch.tensor(x)).item() for x in (2.0, 1.0)])
    said, sure = labels(torch.tensor([[2.0, -1.0]]), AnswerSpec(2, exclusive=False))
    assert said.tolist() == [[1, 0]]
    assert sure.item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item())
