"""Texts that answer texts, from a user's file to answers, explanations and scores of a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attnpred.cli import main
from attnpred.inference.export.session import Exported
from attnpred.inference.predict import predict
from attnpred.runs.run import Run
from tests.died import train
from tests.explain.made import EXPLAINERS, FEW

GERMAN = {
    "the": "der",
    "dog": "Hund",
    "cat": "Kater",
    "sees": "sieht",
    "old": "alte",
    "young": "junge",
    "runs": "läuft",
}
SMALL = ["model.width=64", "model.depth=1", "model.heads=4", "data.tokenizer.kind=word", "model.dropout=0"]
QUICK = ["trainer.precision=32-true", "trainer.attention_examples=4", "logger=tensorboard", "data.batch_size=32"]


def pairs(count, seed=0):
    """Sentences, each with its words in another tongue and a full stop."""
    random = torch.Generator().manual_seed(seed)
    words = list(GERMAN)
    for _ in range(count):
        length = int(torch.randint(2, 5, (), generator=random))
        chosen = [words[i] for i in torch.randint(0, len(words), (length,), generator=random)]
        yield {"english": " ".join(chosen), "german": " ".join(GERMAN[word] for word in chosen) + "."}


def write(file: Path, rows) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("translation")


@pytest.fixture(scope="module")
def words(place):
    source = write(place / "pairs.jsonl", pairs(600))
    columns = ["data.source_column=english", "data.target_column=german"]
    where = [f"data.source={source}", f"data.cache_dir={place / 'cache'}", f"output_dir={place / 'outputs'}"]
    return ["data=translation", "model=seq2seq", *columns, *where, *SMALL, *QUICK, "data.max_length=16"]


@pytest.fixture(scope="module")
def run(words, place) -> Run:
    directory = place / "run"
    learns = [
        "optimizer.lr=3e-3",
        "optimizer.epochs=32",
        "trainer.validate_every_steps=120",
        "task.label_smoothing=0",
        "task.beam=2",
    ]
    assert main(["train", *words, *learns, "--run-dir", str(directory)]) == 0
    return Run.find(str(directory))


def test_a_file_is_learned_and_scored(run):
    result = json.loads((run.path / "metrics.json").read_text())
    assert result["test"]["bleu"] > 20
    assert set(result["test"]) >= {"loss", "accuracy", "bleu", "chrf", "signatures", "intervals"}
    assert "tok:13a" in result["test"]["signatures"]["bleu"]
    score, low, high = result["test"]["intervals"]["bleu"]
    assert low < score < high
    answers = [json.loads(line) for line in (run.path / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == result["test"]["texts"] == 60
    assert "comprehensiveness" in result["attention"]["scores"]["attention"]


@pytest.mark.slow
def test_a_sweep_goes_over_beams(words, place, tmp_path):
    swept = ["task.beam=1,2", "hydra.launcher.n_jobs=1", "trainer.max_steps=2", "trainer.attention_examples=0"]
    assert main(["train", "-m", *words, *swept, f"output_dir={tmp_path}"]) == 0
    found = [json.loads(one.read_text())["test"] for one in tmp_path.rglob("metrics.json")]
    assert len(found) == 2
    assert all("bleu" in one for one in found)


def test_lines_are_answered_in_order_with_their_alignment(run):
    texts = ["the dog sees the cat", "old", "young cat runs runs"]
    together = list(predict(run, run.config(), texts))
    assert [found["input"] for found in together] == texts
    for text, found in zip(texts, together, strict=True):
        [alone] = predict(run, run.config(), [text])
        assert list(found) == ["input", "text", "confidence", "score", "words", "attention", "alignment"]
        assert found["text"] == alone["text"]
        assert found["score"] == pytest.approx(alone["score"], abs=1e-4)
        assert found["words"] == text.split()
        assert " ".join(one["word"] for one in found["alignment"]) == found["text"]
        for one in found["alignment"]:
            assert len(one["attention"]) == len(found["words"])
            assert sum(one["attention"]) == pytest.approx(1, abs=1e-4)


def test_beams_and_several_answers_are_asked_for_at_the_command(run, capsys):
    assert main(["predict", str(run.path), "the old dog", "--beam", "4", "--nbest", "3", "--no-attention"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["input", "text", "confidence", "score", "nbest"]
    scores = [one["score"] for one in found["nbest"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert found["nbest"][0] == {"text": found["text"], "score": found["score"]}
    assert main(["predict", str(run.path), "the old dog", "--sample", "--nbest", "2", "--top-k", "3"]) == 0
    assert len(json.loads(capsys.readouterr().out)["nbest"]) == 2
    for wrong, said in {
        "--beam=0": "--beam 0: must be 1 to 1,000",
        "--top-k=3": "give --sample too",
        "--nbest=0": "--nbest 0: must be at least 1",
    }.items():
        assert main(["predict", str(run.path), "the old dog", wrong]) == 2
        assert said in capsys.readouterr().err


def test_a_table_is_answered_as_its_lines_are(run, tmp_path):
    table = write(tmp_path / "a.jsonl", [{"english": text} for text in ("the dog sees", "old cat")])
    out = tmp_path / "b.jsonl"
    asked = ["--file", str(table), "--out", str(out), "--column", "english", "--beam", "3", "--nbest", "2"]
    assert main(["predict", str(run.path), *asked]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    lines = predict(run, run.config(), ["the dog sees", "old cat"], decoding={"beam": 3, "best": 2})
    for row, found in zip(rows, lines, strict=True):
        assert row["error"] is None
        assert row["text"] == found["text"]
        assert [one["text"] for one in row["nbest"]] == [one["text"] for one in found["nbest"]]


def test_another_begins_with_its_vocabulary_whatever_its_texts(run, words, place, tmp_path):
    """The texts are those of another seed and fewer words, by which a vocabulary would be another."""
    few = write(tmp_path / "few.jsonl", [pair for pair in pairs(200, seed=1) if "young" not in pair["english"]])
    short = [f"data.source={few}", "optimizer.epochs=1", "trainer.attention_examples=0", f"output_dir={tmp_path}"]
    made = train(
        tmp_path, [*(w for w in words if not w.startswith("output_dir")), *short, f"model.init_from={run.path}"]
    )
    assert (made.path / "tokenizer.json").read_bytes() == (run.path / "tokenizer.json").read_bytes()


def test_new_texts_are_monitored_by_the_column_that_was_read(run, tmp_path, capsys):
    table = write(tmp_path / "new.jsonl", pairs(40, seed=3))
    for _ in range(2):  # the reference is made once, and then read
        assert main(["monitor", str(run.path), "--on", str(table), "--json"]) in (0, 3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [[], ["--int8"]], ids=["float32", "int8"])
def test_an_export_answers_with_its_decoding_loop(precision, run, tmp_path, capsys):
    pytest.importorskip("onnxscript")
    place = tmp_path / "export"
    few = ["--examples", "20", "--measured", "20"]
    assert main(["export", str(run.path), "--out", str(place), *precision, *few]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agreement"] >= (0.999 if not precision else 0.8)
    text = "the old dog sees"
    example = subprocess.run(
        [sys.executable, str(place / "example.py"), text], capture_output=True, text=True, check=True
    )
    [ours] = Exported(place).answers([text])
    [greedy] = predict(run, run.config(), [text], decoding={"beam": 1})
    said = json.loads(example.stdout)
    if not precision:
        assert said["answer"] == greedy["text"] == ours["text"]
    assert sum(share for _, share in said["attention"]) == pytest.approx(1, abs=1e-3)


def test_evaluating_finds_what_training_found(run, capsys):
    assert main(["evaluate", str(run.path)]) == 0
    out, err = capsys.readouterr()
    found, known = json.loads(out), json.loads((run.path / "metrics.json").read_text())["test"]
    for name in ("loss", "accuracy", "bleu", "chrf"):
        assert found[name] == pytest.approx(known[name], abs=1e-4)
    assert "test, bootstrap over 60 texts: bleu" in err


@pytest.mark.parametrize(
    "explainer",
    [
        pytest.param(name, marks=pytest.mark.long if name in FEW else ())
        for name in EXPLAINERS
        if name not in ("random", "gradcam")  # the one is always there, the other needs a convolution
    ],
)
def test_explainers_tell_why_a_token_was_said(run, explainer, capsys):
    arguments = ["explain", str(run.path), "--limit", "4", "--explainer", explainer, "--json"]
    assert main(arguments) == 0
    story = json.loads(capsys.readouterr().out)
    assert len(story["examples"]) == 4
    scores = story["faithfulness"]["scores"]
    assert set(scores) == {explainer, "random"}
    for example in story["examples"]:
        assert len(example["maps"][explainer]) == len(example["words"])
        assert example["explained"] in example["predicted"]
        words, choices = example["alignment"]["words"], example["choices"]
        assert sorted(choice["word"] for choice in choices) == list(range(len(words)))
        assert choices[0]["explained"] == example["explained"]
        assert choices[0]["maps"] == example["maps"]
        assert all(len(choice["maps"][explainer]) == len(example["words"]) for choice in choices)
        assert [len(row) for row in example["alignment"]["rows"]] == [len(example["words"])] * len(
            example["alignment"]["words"]
        )
