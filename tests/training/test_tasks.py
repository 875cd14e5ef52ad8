"""Every kind of answer from a file of one's own to explanations, by the commands that a user gives."""

import csv
import json
import math

import numpy as np
import pytest

from attnpred.cli import main
from attnpred.runs.checkpoint_files import TASK
from attnpred.training.learner import Learner
from tests.data.made import FILLERS, WORDS
from tests.died import Died, check_same, dies_at, the_run, train, weights

ROWS = 160
LABELS = ("red", "green", "blue")
SMALL = [
    *("model=transformer", "model.width=8", "model.depth=1", "model.heads=2", "model.dropout=0.1"),
    *("data.tokenizer.vocab_size=200", "data.max_length=32", "data.batch_size=16", "data.eval_batch_size=16"),
    *("trainer.max_epochs=2", "trainer.precision=32-true", "trainer.log_every_steps=2", "optimizer.lr=1e-2"),
    *("trainer.attention_examples=4", "logger=csv"),
    *("checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto"),
]
CASES = {
    "regression": ["task=regression", "data=texts", "data.targets={number: [score, length]}"],
    "multilabel": ["task=multilabel", "data=texts", "data.targets={labels: [red, green, blue]}"],
    "pair": ["task=classification", "data=text_pairs"],
}
INPUT = {"pair": "a great film\tthe plot was dull"}
MEASURES = ("loss", "r2", "pearson", "mae", "macro_f1", "mean_average_precision", "exact_match", "accuracy")


def sentence(random, *words):
    return " ".join(random.permutation([*random.choice(FILLERS, random.integers(3, 12)), *words]))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Texts with two numbers and three labels, and pairs that agree or not."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(ROWS):
        has = random.random(3) < (0.2, 0.5, 0.6)
        good = int(random.integers(2))
        text = sentence(random, *np.array(LABELS)[has], str(random.choice(WORDS[good])))
        other = int(random.integers(2))
        row = {"text": text, "score": 70 + 20 * good + random.normal(), "length": len(text) / 10}
        row |= {name: int(h) for name, h in zip(LABELS, has, strict=True)}
        row |= {"premise": text, "hypothesis": sentence(random, str(random.choice(WORDS[other])))}
        rows.append({**row, "label": "agrees" if good == other else "differs"})
    place = tmp_path_factory.mktemp("data") / "rows.csv"
    with place.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return place


@pytest.fixture(scope="module", params=CASES)
def case(request, file):
    own = [f"data.source={file}", f"data.cache_dir={file.parent / 'cache'}", "data.test_fraction=0.2"]
    return request.param, [*SMALL, *CASES[request.param], *own, "data.val_fraction=0.2"]


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """A run that was left alone."""
    return train(tmp_path_factory.mktemp("whole"), case[1])


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_it_is_evaluated_as_it_was_tested(case, whole, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    found, known = told(capsys), json.loads((whole.path / "metrics.json").read_text())["test"]
    measures = [name for name in MEASURES if name in known]
    assert len(measures) > 1
    assert {name: found[name] for name in measures} == pytest.approx({n: known[n] for n in measures}, rel=1e-4)
    assert found["examples"] == known["examples"] == ROWS // 5
    if case[0] == "multilabel":
        thresholds = weights(whole, "best.ckpt")[TASK]["thresholds"]
        assert thresholds != [0.5] * 3
        assert [one["threshold"] for one in found["labels"]] == thresholds
    elif case[0] == "regression":
        assert [one["name"] for one in found["numbers"]] == ["score", "length"]


def test_new_input_is_answered(case, whole, capsys):
    capsys.readouterr()
    assert main(["predict", str(whole.path), INPUT.get(case[0], "the red film was great")]) == 0
    found = told(capsys)
    if case[0] == "regression":
        assert set(found["numbers"]) == {"score", "length"}
        assert 40 < found["numbers"]["score"] < 120  # in the unit of the file
    elif case[0] == "multilabel":
        thresholds = dict(zip(LABELS, weights(whole, "best.ckpt")[TASK]["thresholds"], strict=True))
        assert found["labels"] == [name for name in LABELS if found["probabilities"][name] >= thresholds[name]]
    else:
        assert found["label"] in ("agrees", "differs")
        texts = found["texts"]
        assert {name: one["words"] for name, one in texts.items()} == {
            "premise": ["a", "great", "film"],
            "hypothesis": ["the", "plot", "was", "dull"],
        }
        assert sum(sum(one["attention"]) for one in texts.values()) == pytest.approx(1, abs=1e-5)


def test_it_is_explained(case, whole, tmp_path, capsys):
    capsys.readouterr()
    names = ["attention", "occlusion", "attnlrp"]
    flags = [flag for name in names for flag in ("--explainer", name)]
    assert main(["explain", str(whole.path), "--split", "test", "--limit", "4", "--json", *flags]) == 0
    story = told(capsys)
    assert len(story["examples"]) == 4
    for example in story["examples"]:
        assert example["label"] is not None
        assert set(example["maps"]) == set(names)
        for numbers in example["maps"].values():
            assert len(numbers) == len(example["words"])
            assert np.isfinite(numbers).all()
        assert (example["confidence"] is None) == (case[0] == "regression")
        if case[0] == "pair":
            assert sum(example["texts"].values()) == len(example["words"])
            assert np.shape(example["across"]) == (2, 2)
    for scores in story["faithfulness"]["scores"].values():
        assert all(math.isfinite(number) for numbers in scores.values() for number in numbers)
    page = tmp_path / "page.html"
    assert main(["explain", str(whole.path), "--limit", "4", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_goes_on_to_the_last_bit(case, whole, tmp_path, monkeypatch):
    for method, call in (("training_step", 4), ("training_step", 5), ("test_step", 1)):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, method, call)
            with pytest.raises(Died):
                main(["train", *case[1], f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *case[1], f"output_dir={tmp_path / 'died'}"]) == 0
    run = the_run(tmp_path / "died")
    check_same(run, whole)
    for name in ("last.ckpt", "best.ckpt"):
        assert weights(run, name).get(TASK) == weights(whole, name).get(TASK)


@pytest.mark.slow
def test_two_processes_measure_all_rows_together(file, tmp_path, capsys):
    own = [f"data.source={file}", f"data.cache_dir={tmp_path / 'cache'}", "data.test_fraction=0.2"]
    two = ["trainer=ddp_cpu", "trainer.devices=2", "data.val_fraction=0.2", "trainer.attention_examples=0"]
    run = train(tmp_path / "outputs", [*SMALL, *CASES["multilabel"], *own, *two])
    capsys.readouterr()
    known = json.loads((run.path / "metrics.json").read_text())
    for split, before in (("test", known["test"]), ("val", known["val"]["best"])):
        assert main(["evaluate", str(run.path), "--split", split]) == 0
        found = told(capsys)
        measures = [name for name in MEASURES if name in before]
        assert {name: found[name] for name in measures} == pytest.approx({n: before[n] for n in measures}, rel=1e-4)
    assert known["test"]["examples"] == ROWS // 5
    assert weights(run, "best.ckpt")[TASK]["thresholds"] != [0.5] * 3
