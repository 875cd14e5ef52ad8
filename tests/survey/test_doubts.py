"""Labels that runs doubt: by the mean of their answers, held against how sure they usually are."""

import pytest

from attnpred.cli import main
from attnpred.survey.doubts import Answer, doubted, gathered
from tests.data.made import text_rows


def row(number, true, sure, split="train"):
    return {"split": split, "row": number, "true": true, "probabilities": {"a": sure, "b": 1 - sure}}


def test_answers_of_several_runs_are_averaged():
    found = gathered(
        [row(1, "a", 0.9), row(1, "a", 0.5), row(1, "b", 0.1, "test"), {"split": "x", "row": 2, "true": "7"}]
    )
    assert found[("train", 1)] == Answer("a", pytest.approx({"a": 0.7, "b": 0.3}))
    assert found[("test", 1)].label == "b"
    assert len(found) == 2


def test_a_label_is_doubted_where_another_class_is_as_sure_as_it_usually_is():
    sure = [row(i, "ab"[i % 2], [0.8, 0.2][i % 2]) for i in range(20)]
    answers = gathered([*sure, row(20, "b", 0.95), row(21, "a", 0.45), row(22, "b", 0.85)])
    found = doubted(answers)
    assert [(key, label, answer) for key, label, answer, _ in found] == [
        (("train", 20), "b", "a"),
        (("train", 22), "b", "a"),
    ]


@pytest.mark.slow
def test_a_wrong_label_is_found_over_folds(tmp_path, monkeypatch, capsys):
    texts, labels = text_rows(240)
    names = ["good" if label else "bad" for label in labels]
    names[17] = "bad" if names[17] == "good" else "good"
    lines = "".join(f"{t},{n}\n" for t, n in zip(texts, names, strict=True))
    (tmp_path / "a.csv").write_text("text,label\n" + lines)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    options = ["model=transformer", "model.depth=1", "data=texts", "data.source=a.csv", "data.folds=2"]
    options += ["trainer.max_epochs=10", "optimizer.lr=3e-3", "logger=none", "trainer.attention_examples=0"]
    options += ["trainer.accelerator=cpu", "data.batch_size=16", "output_dir=out"]
    runs = []
    for fold in range(2):
        assert main(["train", *options, f"data.fold={fold}"]) == 0
        runs += ["--run", capsys.readouterr().out.splitlines()[-1]]
    assert main(["compare", "out", "--json"]) == 0
    assert '"0, fold 0", "0, fold 1"' in capsys.readouterr().out
    assert main(["data", *runs, "a.csv"]) == 0
    out = capsys.readouterr().out
    assert "240 rows that 2 runs did not train on" in out
    assert any(line.startswith("row 17 of train") and names[17] in line for line in out.splitlines())
