"""Labels that runs doubt: by the mean of their answers, held against how sure they usually are."""

import json

import pytest

from attnpred.cli import main
from attnpred.survey.doubts import doubted, far, gathered
from attnpred.tasks.base import Claim
from tests.data.made import text_rows
from tests.tasks.test_contract import TASKS, with_model
from tests.training.test_tagging import tagged


def claim(row, given, sure, split="train"):
    return (split, row, ""), Claim("", given, {"a": sure, "b": 1 - sure})


def test_answers_of_several_runs_are_averaged():
    found = gathered([claim(1, "a", 0.9), claim(1, "a", 0.5), claim(1, "b", 0.1, "test"), claim(2, "7", 0.5)])
    assert found["train", 1, ""].chances == pytest.approx({"a": 0.7, "b": 0.3})
    assert found["test", 1, ""].given == "b"
    assert len(found) == 2
    numbers = [(("train", 1, "n"), Claim("n", "3", number=3.0, answer=answer)) for answer in (1.0, 4.0)]
    assert gathered(numbers)["train", 1, "n"].answer == 2.5


def test_a_label_is_doubted_where_another_class_is_as_sure_as_it_usually_is():
    sure = [claim(i, "ab"[i % 2], [0.8, 0.2][i % 2]) for i in range(20)]
    found = list(doubted(gathered([*sure, claim(20, "b", 0.95), claim(21, "a", 0.45), claim(22, "b", 0.85)])))
    assert [(one.key[1], one.given, one.answer) for one in found] == [(20, "b", "a"), (22, "b", "a")]


def test_a_number_is_doubted_far_beyond_the_usual_error():
    errors = [1.0, -1.0, 2.0, -2.0, 1.5, 30.0]
    claims = {("train", i, "n"): Claim("n", "0", number=0.0, answer=error) for i, error in enumerate(errors)}
    (found,) = far(claims)
    assert (found.key[1], found.answer) == (5, "30")
    assert found.off == pytest.approx(30 / 1.75)


@pytest.mark.parametrize("name", TASKS)
def test_kept_predictions_hold_what_a_task_claims(name):
    task, model, batch = with_model(name)
    output = model.eval()(batch)
    told = zip(task.truths(batch), task.describe(output), task.kept(output, batch), strict=True)
    rows = json.loads(json.dumps([{"true": true, **described, **kept} for true, described, kept in told]))
    claims = [one for row in rows for one in task.claims(row)]
    for one in claims:
        assert one.given in one.chances or (one.number is not None and one.answer is not None)
        assert not one.chances or sum(one.chances.values()) == pytest.approx(1, abs=1e-4)
    expected = {"classification": 4, "multilabel": 12, "regression": 8, "tagging": 11}
    assert len(claims) == expected.get(name, len(claims))


@pytest.fixture
def folds(tmp_path, monkeypatch, capsys):
    """Trains both folds of a source, and looks at it with them: the lines that come of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def trained(source, *options):
        options = ["model=transformer", "model.depth=1", f"data.source={source}", "data.folds=2", *options]
        options += ["optimizer.lr=3e-3", "logger=none", "trainer.attention_examples=0", "trainer.accelerator=cpu"]
        runs = []
        for fold in range(2):
            assert main(["train", *options, "data.batch_size=16", "output_dir=out", f"data.fold={fold}"]) == 0
            runs += ["--run", capsys.readouterr().out.splitlines()[-1]]
        assert main(["data", *runs, source]) == 0
        return capsys.readouterr().out.splitlines()

    return trained


def doubts_in(lines):
    (start,) = (i for i, line in enumerate(lines) if line.startswith("labels in doubt"))
    return lines[start + 2 :]


@pytest.mark.long
def test_a_wrong_label_is_found_over_folds(folds, tmp_path, capsys):
    texts, labels = text_rows(240)
    names = ["good" if label else "bad" for label in labels]
    names[17] = "bad" if names[17] == "good" else "good"
    lines = "".join(f"{t},{n}\n" for t, n in zip(texts, names, strict=True))
    (tmp_path / "a.csv").write_text("text,label\n" + lines)
    out = folds("a.csv", "data=texts", "trainer.max_epochs=10")
    assert main(["compare", "out", "--json"]) == 0
    assert '"0, fold 0", "0, fold 1"' in capsys.readouterr().out
    assert any("240 rows that 2 runs did not train on" in line for line in out)
    assert any(line.startswith("row 17 of train") and names[17] in line for line in doubts_in(out))


@pytest.mark.long
@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_wrong_labels_and_numbers_are_found_over_folds(task, folds, tmp_path):
    texts, labels = text_rows(240)
    rows = [{"text": t, "label": n} for t, n in zip(texts, labels, strict=True)]
    for row in rows:
        row["label"] = [["bad"], ["good"]][row["label"]] if task == "multilabel" else float(row["label"])
    rows[17]["label"] = ["bad", "good"] if task == "multilabel" else 20.0
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = doubts_in(folds("a.jsonl", "data=texts", f"task={task}", "trainer.max_epochs=10"))
    assert out[0].startswith("row 17 of train")


@pytest.mark.long
def test_a_wrong_tag_is_found_over_folds(folds, tmp_path):
    rows = list(tagged(200, "bio"))
    number, (words, tags) = next((i, row) for i, row in enumerate(rows) if "B-loc" in row[1])
    place = tags.index("B-loc")
    tags[place] = "O"
    text = "\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*row, strict=True)) for row in rows)
    (tmp_path / "a.conll").write_text(text)
    out = doubts_in(folds("a.conll", "data=tags", "trainer.max_epochs=8", "optimizer.lr=1e-2"))
    assert out[0].startswith(f"row {number} of train (a.conll), word {place}")
    assert f"[{words[place]}]" in out[0]
