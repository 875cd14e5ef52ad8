"""Training that goes on from a run, on new data."""

import json
import random
from pathlib import Path

import pytest
import torch

from attnpred.cli import main
from attnpred.data.class_target import Classes, ClassTarget
from attnpred.data.labels_target import LabelSet, LabelsTarget
from attnpred.runs.run import Run
from attnpred.training.continual import Done
from attnpred.training.learner import Learner
from tests import died

WORDS = {"good": "fine great lovely", "bad": "awful poor dull", "rain": "wet cloud storm", "sun": "bright heat clear"}
QUICK = ["data=texts", "data.batch_size=8", "logger=none", "trainer.attention_examples=0", "trainer.accelerator=cpu"]
MODEL = ["model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "model.positions=learned"]
MODEL += ["model.ngrams=1", "model.letters=3", "data.max_length=8", "trainer.max_epochs=2"]


def rows(*classes):
    drawn = random.Random(" ".join(classes))
    for place in range(48):
        label = classes[place % len(classes)]
        yield {"text": " ".join(drawn.choices([*WORDS[label].split(), "the", "film", "day"], k=5)), "label": label}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, classes in {"a": ("good", "bad"), "b": ("rain", "sun"), "c": ("sun", "good")}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(*classes)))
    return folder


@pytest.fixture(scope="module")
def place(files):
    return [f"output_dir={files / 'outputs'}", f"data.cache_dir={files / 'cache'}", *QUICK]


@pytest.fixture
def train(place, files, capsys):
    def run(name: str, *overrides: str) -> Path:
        given = [*place, f"data.source={files / name}.jsonl", f"data.name={name}", *overrides]
        assert main(["train", *given]) == 0, capsys.readouterr().err
        return Path(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def first(place, files):
    """A run on the first task."""
    given = [*place, f"data.source={files / 'a'}.jsonl", "data.name=a"]
    assert main(["train", *given, *MODEL]) == 0
    (run,) = (files / "outputs").glob("*/*")
    return run


STILL = ["optimizer.lr=1e-12", "optimizer.weight_decay=0", "trainer.max_epochs=1"]


def test_a_run_goes_on_with_weights_vocabulary_classes_and_model_of_another(train, first):
    run = Run(train("b", f"continue_from={first}", "data.max_length=12", "model.dropout=0.25", *STILL))
    before = Run(first)
    assert run.task().spec.classes == ("bad", "good", "rain", "sun")
    assert (run.path / "tokenizer.json").read_text() == (first / "tokenizer.json").read_text()
    config = run.config()
    assert (config.model.width, config.model.dropout, config.data.max_length) == (8, 0.25, 12)
    own, given = run.load_model().state_dict(), before.load_model().state_dict()
    assert own.keys() == given.keys()
    for name, value in given.items():
        block = own[name][tuple(slice(0, size) for size in value.shape)]
        torch.testing.assert_close(block, value, msg=name)
    assert own["head.weight"].shape[0] == 4
    assert own["positions.table"].shape[0] == 12


def test_each_task_is_measured_after_each(train, first, files, capsys):
    second = train("b", f"continue_from={first}", "trainer.max_epochs=2")
    third = train("c", f"continue_from={second}", "trainer.max_epochs=1")
    found = json.loads((third / "metrics.json").read_text())["continual"]
    assert found["tasks"] == ["a", "b", "c"]
    assert [len(row) for row in found["rows"]] == [1, 2, 3]
    assert found["rows"][0][0] == json.loads((first / "metrics.json").read_text())["test"]["accuracy"]
    assert found["rows"][2][2] == json.loads((third / "metrics.json").read_text())["test"]["accuracy"]
    for name, run, score in (("a", second, found["rows"][1][0]), ("b", third, found["rows"][2][1])):
        assert main(["evaluate", str(run), f"data.source={files / name}.jsonl"]) == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(score)
    logged = [json.loads(line) for line in (third / "metrics.jsonl").read_text().splitlines()]
    assert logged[-1]["continual/average"] == pytest.approx(found["average"])
    assert main(["compare", str(third), "--metric", "continual/forgetting", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "continual/forgetting"


@pytest.mark.slow
def test_a_task_whose_data_is_gone_is_left_out(train, first, files):
    (files / "gone.jsonl").write_text((files / "b.jsonl").read_text())
    second = train("gone", f"continue_from={first}", *STILL)
    (files / "gone.jsonl").unlink()
    found = json.loads((train("c", f"continue_from={second}", *STILL) / "metrics.json").read_text())["continual"]
    assert found["rows"][2][1] is None
    assert found["rows"][2][0] is not None


def test_classes_of_other_names_may_be_the_same(train, first):
    run = Run(train("b", f"continue_from={first}", "continual.classes=same", *STILL))
    assert run.task().spec.classes == ("bad", "good")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["continue_from=nowhere"], "continue_from=nowhere: no run directory"),
        (["continue_from=RUN", "model.width=16"], "its model has other weights than this config's"),
        (["continue_from=RUN", "model=recurrent"], "is a transformer; leave model= out"),
        (["continue_from=RUN", "model.init_from=RUN"], "continue_from names the run to begin with"),
        (["continual.replay=5", *MODEL], "what continual.… keeps is of a run to go on from"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(place, files, first, overrides, told, capsys):
    given = [one.replace("RUN", str(first)) for one in overrides]
    before = len(list((files / "outputs").glob("*/*")))
    assert main(["train", *place, f"data.source={files / 'b'}.jsonl", *given]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error:"))
    assert told in line
    assert len(list((files / "outputs").glob("*/*"))) == before


def test_known_classes_and_labels_come_first():
    classes = ClassTarget(["label"], "data.label_column")
    earlier, new = Classes(classes=("b", "a"), counts=(3, 4)), Classes(classes=("a", "c"), counts=(1, 2))
    assert classes.extended(earlier, new) == Classes(classes=("b", "a", "c"), counts=(0, 1, 2))
    labels = LabelsTarget(["label"], "data.label_column")
    known, more = LabelSet(labels=("x",), counts=(1,), rows=9), LabelSet(labels=("y", "x"), counts=(2, 3), rows=5)
    assert labels.extended(known, more) == LabelSet(labels=("x", "y"), counts=(3, 2), rows=5)


def test_forgetting_and_backward_transfer_are_those_of_the_matrix():
    done = Done(("a", "b", "c"), ({}, {}, {}), ((0.9,), (0.95, 0.8), (0.6, None, 0.7)))
    found = done.summary("accuracy", "max")
    assert found["average"] == pytest.approx(0.65)
    assert found["forgetting"] == pytest.approx(0.35)
    assert found["backward_transfer"] == pytest.approx(-0.3)
    turned = done.summary("loss", "min")
    assert turned["forgetting"] == pytest.approx(-0.3)
    assert done.then("a", {}, (0.1, 0.2, 0.3, 0.4)).names == ("a", "b", "c", "a 2")


KEEPING = ["continual.replay=6", "continual.ewc=100", "continual.fisher_examples=8", "continual.distillation=1"]


def far(run: Path, first: Path) -> float:
    """How far a run's weights have gone from those of the one that it began with."""
    own, given = Run(run).weights(), Run(first).weights()
    blocks = ((own[name][tuple(slice(0, size) for size in value.shape)], value) for name, value in given.items())
    return sum(float((one - other).square().sum()) for one, other in blocks)


@pytest.mark.slow
def test_each_way_keeps_more_of_an_earlier_task_than_plain_training(train, first):
    fast = ["trainer.max_epochs=3", "optimizer.lr=0.02", f"continue_from={first}", "checkpoint.select=last"]
    strong = {"ewc": ["continual.ewc=1e6"], "distillation": ["continual.distillation=20"]}
    gone, scores = {}, {}
    for way in ("none", "replay", "ewc", "distillation"):
        run = train("b", *fast, f"continual={way}", *strong.get(way, []))
        gone[way] = far(run, first)
        scores[way] = json.loads((run / "metrics.json").read_text())["continual"]["rows"][1][0]
    assert scores["none"] < scores["replay"]
    assert max(gone["ewc"], gone["distillation"]) < gone["none"]


def test_a_run_that_keeps_goes_on_to_the_same_bits(place, files, first, tmp_path, monkeypatch):
    overrides = [*place[1:], f"data.source={files / 'b'}.jsonl", f"continue_from={first}", *KEEPING]
    overrides += ["trainer.max_epochs=2", "checkpoint.every_steps=2", "logger=csv", "trainer.precision=32-true"]
    whole = died.train(tmp_path / "whole", overrides)
    run = died.died(tmp_path / "died", overrides, monkeypatch, Learner, "training_step", 8)
    assert main(["resume", str(run.path)]) == 0
    died.check_same(run, whole)


@pytest.mark.long
def test_two_processes_go_on_together(train, first):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.precision=32-true", "data.batch_size=4"]
    run = train("b", f"continue_from={first}", *KEEPING, *two)
    alone = train("b", f"continue_from={first}", "continual.replay=0", "trainer.precision=32-true", "data.batch_size=8")
    found, known = (json.loads((one / "metrics.json").read_text())["continual"] for one in (run, alone))
    assert found["tasks"] == known["tasks"]
    assert [len(row) for row in found["rows"]] == [1, 2]
    assert all(0 <= value <= 1 for row in found["rows"] for value in row)


def test_a_strangers_file_of_tasks_leads_nowhere(train, first, tmp_path, capsys, place, files):
    second = train("b", f"continue_from={first}", *STILL)
    told = json.loads((second / "continual.json").read_text())
    told["data"][0] |= {"cache_dir": str(tmp_path / "elsewhere"), "paths_outside": True}
    (second / "continual.json").write_text(json.dumps(told))
    train("c", f"continue_from={second}", *STILL)
    assert not (tmp_path / "elsewhere").exists()
    told["data"][0]["_target_"] = "os.path.join"
    (second / "continual.json").write_text(json.dumps(told))
    assert main(["train", *place, f"data.source={files / 'c'}.jsonl", f"continue_from={second}", "continual=ewc"]) == 2
    assert "os.path.join: not allowed" in capsys.readouterr().err
    (second / "continual.json").write_text('{"names": ["a"], "data": [], "rows": [[1]]}')
    assert main(["train", *place, f"data.source={files / 'c'}.jsonl", f"continue_from={second}"]) == 2
    assert "holds no tasks and results; restore the file" in capsys.readouterr().err
