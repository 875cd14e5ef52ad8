"""Tags from a file of one's own to explanations, by the commands that a user gives."""

import json
import math

import numpy as np
import pytest

from attnpred.cli import main
from attnpred.training.learner import Learner
from tests.died import Died, check_same, dies_at, the_run, train, weights

ROWS = 160
PLACES = ("paris", "rome", "oslo")
NAMES = ("ann", "bob", "carla")
FILLERS = ("we", "went", "there", "today", "and", "saw", "it", "again")
SMALL = [
    *("data=tags", "model=transformer", "model.width=16", "model.depth=1", "model.heads=2", "model.dropout=0.1"),
    *("data.tokenizer.vocab_size=200", "data.max_length=32", "data.batch_size=16", "data.eval_batch_size=16"),
    *("trainer.max_epochs=3", "trainer.precision=32-true", "trainer.log_every_steps=2", "optimizer.lr=2e-2"),
    *("trainer.attention_examples=4", "logger=csv"),
    *("checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto"),
]
CASES = {
    "bio": [],
    "bioes and a crf": ["task.crf=true"],
    "plain, all pieces and an attention of its own": ["task.pieces=all", "model.attention_loss=faithful"],
}
MEASURES = ("loss", "accuracy", "entity_f1", "entity_precision", "entity_recall")


def tagged(count, kind):
    """Sentences in which places have one word and names two, as (words, tags)."""
    random = np.random.default_rng(0)
    marks = {
        "bio": (["B-loc"], ["B-per", "I-per"]),
        "bioes": (["S-loc"], ["B-per", "E-per"]),
        "plain": (["loc"], ["per", "per"]),
    }[kind.partition(" ")[0].strip(",")]
    for _ in range(count):
        words, tags = [], []
        for _ in range(random.integers(2, 5)):
            some = random.choice(FILLERS, random.integers(1, 4)).tolist()
            words, tags = words + some, tags + ["O"] * len(some)
            if random.random() < 0.5:
                words, tags = [*words, str(random.choice(PLACES))], tags + marks[0]
            else:
                words, tags = [*words, str(random.choice(NAMES)), "smith"], tags + marks[1]
        yield words, tags


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """The case's name, and the words of a command; the first case's file has columns, the others' are JSON lines."""
    place = tmp_path_factory.mktemp("data")
    file = place / ("rows.conll" if request.param == "bio" else "rows.jsonl")
    rows = list(tagged(ROWS, request.param))
    if file.suffix == ".conll":
        text = "\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*row, strict=True)) for row in rows)
    else:
        text = "".join(json.dumps({"tokens": words, "tags": tags}) + "\n" for words, tags in rows)
    file.write_text(text)
    own = [
        f"data.source={file}",
        f"data.cache_dir={place / 'cache'}",
        "data.test_fraction=0.2",
        "data.val_fraction=0.2",
    ]
    return request.param, [*SMALL, *CASES[request.param], *own]


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """A run that was left alone."""
    return train(tmp_path_factory.mktemp("whole"), case[1])


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_it_learns_and_is_evaluated_as_it_was_tested(case, whole, capsys):
    known = json.loads((whole.path / "metrics.json").read_text())
    assert known["test"]["entity_f1"] > 0.8
    assert {"comprehensiveness", "sufficiency"} <= known["attention"]["scores"]["attention"].keys()
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert {name: found[name] for name in MEASURES} == pytest.approx(
        {name: known["test"][name] for name in MEASURES}, rel=1e-4
    )
    assert [one["name"] for one in found["entities"]] == ["loc", "per"]
    assert "test by entity" in said.err
    assert found["examples"] == ROWS // 5


def test_new_input_is_answered(case, whole, capsys):
    capsys.readouterr()
    text = "we saw Paris and bob Smith"
    assert main(["predict", str(whole.path), text, '["we", "saw", "oslo"]']) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["words"] == ["we", "saw", "Paris", "and", "bob", "Smith"]
    assert len(first["tags"]) == len(first["scores"]) == len(first["attention"]) == 6
    spans = {span["text"]: span["tag"] for span in first["spans"]}
    assert spans == {"Paris": "loc", "bob Smith": "per"}
    for span in first["spans"]:
        assert text[span["start"] : span["end"]] == span["text"]
        assert 0 < span["score"] <= 1
    assert sum(first["attention"]) == pytest.approx(1, abs=1e-5)
    assert (second["input"], second["spans"][0]["text"], second["spans"][0]["start"]) == ("we saw oslo", "oslo", 7)


def test_it_is_explained(case, whole, tmp_path, capsys):
    capsys.readouterr()
    names = ["attention", "occlusion", "attnlrp"]
    flags = [flag for name in names for flag in ("--explainer", name)]
    assert main(["explain", str(whole.path), "--split", "test", "--limit", "4", "--json", *flags]) == 0
    story = told(capsys)
    assert len(story["examples"]) == 4
    for example in story["examples"]:
        words = len(example["words"])
        assert len(example["marks"]) == words
        assert all(truth is not None for _, truth in example["marks"])
        spans = {i for i, (said, _) in enumerate(example["marks"]) if said != "O"}
        assert {choice["word"] for choice in example["choices"]} >= spans if len(spans) < 9 else spans
        for choice in example["choices"]:
            assert choice["explained"] == example["marks"][choice["word"]][0]
            for numbers in choice["maps"].values():
                assert len(numbers) == words
                assert np.isfinite(numbers).all()
        assert example["choices"][0]["maps"] == example["maps"]
    for scores in story["faithfulness"]["scores"].values():
        assert all(math.isfinite(number) for numbers in scores.values() for number in numbers)
    page = tmp_path / "page.html"
    assert main(["explain", str(whole.path), "we saw rome", "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["explain", str(whole.path), "--removal", "delete"]) == 2
    assert "removal=delete: not for a model that answers for each part; use mask" in capsys.readouterr().err


def test_it_goes_on_to_the_last_bit(case, whole, tmp_path, monkeypatch):
    for method, call in (("training_step", 4), ("test_step", 1)):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, method, call)
            with pytest.raises(Died):
                main(["train", *case[1], f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *case[1], f"output_dir={tmp_path / 'died'}"]) == 0
    check_same(the_run(tmp_path / "died"), whole)


@pytest.mark.long
def test_two_processes_measure_all_rows_together(case, tmp_path, capsys):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "trainer.max_epochs=2"]
    run = train(tmp_path / "outputs", [*(word for word in case[1] if not word.startswith("trainer.max")), *two])
    known = json.loads((run.path / "metrics.json").read_text())
    capsys.readouterr()
    for split, before in (("test", known["test"]), ("val", known["val"]["best"])):
        assert main(["evaluate", str(run.path), "--split", split]) == 0
        found = told(capsys)
        assert {name: found[name] for name in MEASURES} == pytest.approx({n: before[n] for n in MEASURES}, rel=1e-4)
    assert known["test"]["examples"] == ROWS // 5
    assert any("steps" in name for name in weights(run, "best.ckpt")["state_dict"]) == (case[0].endswith("crf"))
