"""New input, described in the order given, whatever came together in a batch."""

import json
import subprocess
import sys

import pytest

from attnpred.cli import main
from attnpred.inference.predict import predict
from attnpred.runs.run import Run
from tests.data.made import make_text_source, text_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    directory = tmp_path_factory.mktemp("runs")
    source = make_text_source(directory / "imdb")
    small = ["model.width=16", "model.depth=2", "model.heads=2", "data.tokenizer.vocab_size=200", "data.max_length=24"]
    data = [f"data.source={source}", f"data.cache_dir={directory / 'cache'}", "data.eval_batch_size=4"]
    quick = ["trainer.max_steps=2", "trainer.precision=32-true", "trainer.limit_batches=2", "logger=none"]
    assert main(["train", "model=transformer", "data=imdb", f"output_dir={directory}", *small, *data, *quick]) == 0
    return Run.find(str(next(directory.rglob("run.json")).parent))


def test_company_changes_nothing(run):
    config = run.config()
    texts = ["", " ", *text_rows(40, seed=3)[0], "a<br/>b", "great"]
    together = list(predict(run, config, texts))
    assert [found["input"] for found in together] == texts
    for text, found in zip(texts, together, strict=True):
        [alone] = predict(run, config, [text])
        assert list(found) == list(alone) == ["input", "label", "probabilities", "words", "attention"]
        assert found["words"] == alone["words"]
        assert found["attention"] == pytest.approx(alone["attention"], abs=1e-5)
        assert found["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)


def test_nothing_given_nothing_told(run):
    assert list(predict(run, run.config(), [])) == []


def test_first_answers_come_before_all_is_read(run):
    def inputs():
        yield from ["great", "the film was dull", "a", "lovely plot"]
        raise AssertionError("more was read than one batch")

    found = predict(run, run.config(), inputs())
    assert [next(found)["input"] for _ in range(4)] == ["great", "the film was dull", "a", "lovely plot"]


@pytest.mark.parametrize("explainer", ["rollout", "integrated_gradients"])
def test_another_explainer_takes_the_place_of_attention(run, explainer):
    texts = ["the film was dull", "great", "a lovely lovely plot"]
    own, other = (list(predict(run, run.config(), texts, name)) for name in (None, explainer))
    for mine, theirs in zip(own, other, strict=True):
        assert list(mine) == list(theirs)
        assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-6)
        assert len(mine["words"]) == len(theirs["attention"])
    assert any(m["attention"] != pytest.approx(t["attention"]) for m, t in zip(own, other, strict=True))


@pytest.mark.slow
def test_answers_come_line_by_line(run):
    """By a process of its own: each answer is there before the next line is written."""
    command = [sys.executable, "-m", "attnpred", "predict", str(run.path), "-", "--no-attention"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        for text in ("great", "the film was dull", "a lovely plot"):
            child.stdin.write(f"{text}\n")
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            assert list(answer) == ["input", "label", "probabilities"]
            assert answer["input"] == text
        child.stdin.close()
    assert child.returncode == 0


def test_a_missing_file_is_named(run, capsys):
    assert main(["predict", str(run.path), "missing.txt"]) == 2
    assert capsys.readouterr().err == "error: missing.txt: no such file; give a text itself, or - < FILE\n"
    assert main(["predict", str(run.path), "great", "--no-attention", "--explainer", "rollout"]) == 2
    assert "--explainer rollout: makes maps, which --no-attention leaves out" in capsys.readouterr().err
