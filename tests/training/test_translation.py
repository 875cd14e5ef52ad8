"""Runs whose answers are texts: to the last bit after any death, on several processes, and beside one another."""

import json

import pytest

from attnpred.cli import main
from attnpred.training.learner import Learner
from tests.died import Died, check_same, dies_at, the_run, train
from tests.tasks.test_translation import pairs, write

SMALL = [
    *("data=translation", "model=seq2seq", "model.width=16", "model.depth=1", "model.heads=2", "model.dropout=0.2"),
    *("data.source_column=english", "data.target_column=german", "data.max_length=12", "data.max_target_length=12"),
    *("data.tokenizer.vocab_size=60", "trainer.precision=32-true", "trainer.log_every_steps=2", "optimizer.lr=1e-2"),
    *("trainer.attention_examples=2", "logger=csv", "task.val_texts=8", "task.beam=2"),
    *("checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto", "trainer.max_epochs=2"),
]
CASES = {
    "a transformer, batches by tokens, average": ["data.token_budget=200", "optimizer.ema=0.9", "model.recompute=true"],
    "a gru, answers that agree": ["model.cell=gru", "task.consistency=0.5", "data.tokenizer.shared=false"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("translation")


@pytest.fixture(scope="module")
def words(place):
    source = write(place / "pairs.jsonl", pairs(80))
    return [*SMALL, f"data.source={source}", f"data.cache_dir={place / 'cache'}"]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_goes_on_to_the_last_bit(case, words, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", [*words, *CASES[case]])
    for method, call in (("training_step", 3), ("test_step", 1)):
        with monkeypatch.context() as patched:
            dies_at(patched, Learner, method, call)
            with pytest.raises(Died):
                main(["train", *words, *CASES[case], f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *words, *CASES[case], f"output_dir={tmp_path / 'died'}"]) == 0
    died = the_run(tmp_path / "died")
    check_same(died, whole)
    assert (died.path / "answers.jsonl").read_text() == (whole.path / "answers.jsonl").read_text()


@pytest.mark.long
def test_two_processes_answer_all_texts_together(words, tmp_path, capsys):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "trainer.precision=32-true"]
    run = train(tmp_path, [*words, *two])
    known = json.loads((run.path / "metrics.json").read_text())["test"]
    assert known["texts"] == 8
    capsys.readouterr()
    assert main(["evaluate", str(run.path)]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("loss", "accuracy", "bleu", "chrf"):
        assert found[name] == pytest.approx(known[name], rel=1e-4)


@pytest.mark.slow
def test_two_runs_are_compared_text_by_text_and_aligned_as_people_did(words, tmp_path, capsys):
    """The second run is the first, but for its answers, which are the references themselves."""
    quick = ["trainer.max_epochs=1", "trainer.attention_examples=0", "checkpoint.every_steps=null"]
    run = train(tmp_path / "outputs" / "a", [*words, *quick, "seed=0"])
    other = train(tmp_path / "outputs" / "b", [*words, *quick, "seed=0", "optimizer.lr=2e-2"])
    file = other.path / "answers.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    write(file, [{**row, "answer": row["reference"]} for row in rows])
    capsys.readouterr()
    arguments = ["compare", str(tmp_path / "outputs"), "--metric", "test/bleu", "--against", "optimizer.lr=0.02"]
    assert main(arguments) == 0
    err = capsys.readouterr().err
    assert "on the 8 texts of test that both answered, p=" in err
    assert "BLEU from row" in err
    links = tmp_path / "links.txt"
    links.write_text("\n".join("0-0 1-1" for _ in range(80)))
    assert main(["evaluate", str(run.path), "--alignments", str(links)]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["alignment_error_rate"] <= 1
    links.write_text("0-0 1~1\n")
    assert main(["evaluate", str(run.path), "--alignments", str(links)]) == 2
    assert "line 1 holds '0-0 1~1'; give links as 0-0 1-2" in capsys.readouterr().err
