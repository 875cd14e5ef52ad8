"""Pre-training on what nobody labelled, from files to explanations, and fine-tuning from it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from attnpred.cli import main
from attnpred.runs.run import Run
from attnpred.training.learner import Learner
from tests.died import Died, check_same, dies_at, the_run, train, weights

THINGS = {"red": "apple", "green": "leaf", "blue": "sky", "black": "cat"}
SMALL = [
    *("model=transformer", "model.width=16", "model.depth=1", "model.heads=2", "model.dropout=0.1"),
    *("trainer.precision=32-true", "trainer.log_every_steps=2", "trainer.attention_examples=4", "logger=csv"),
    *("checkpoint.every_steps=3", "checkpoint.every_minutes=null", "resume=auto", "optimizer.lr=2e-2"),
]
TEXTS = ["task=masked_tokens", "data=texts", "data.tokenizer.vocab_size=60", "data.max_length=16", "data.batch_size=8"]
CASES = {
    "packed": ["trainer.max_epochs=1"],
    "streamed": ["trainer.max_epochs=2", "data.stream=true", "data.stream_buffer=32"],
    "images": ["task=masked_patches", "task.patch=4", "data=digits", "data.batch_size=64", "trainer.max_epochs=1"],
    "series": ["task=masked_patches", "task.patch=4", "data=series", "data.history=16", "trainer.max_epochs=2"],
}


def sentences(count, seed):
    """In which a colour and a thing tell one another."""
    random = np.random.default_rng(seed)
    for colour in random.choice(list(THINGS), count):
        yield f"we saw a {colour} {THINGS[colour]} today"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    for split, several, count in (("train", 2, 60), ("validation", 1, 20), ("test", 1, 20)):
        for part in range(several):
            rows = (json.dumps({"text": text}) + "\n" for text in sentences(count, part))
            (place / f"{split}-{part}.jsonl").write_text("".join(rows))
    moments = np.arange(200)
    lines = [f"{i},{np.sin(i / 2):.4f},{np.cos(i / 3):.4f}" for i in moments]
    (place / "series").mkdir()
    (place / "series" / "waves.csv").write_text("\n".join(["hour,a,b", *lines]) + "\n")
    return place


def command(name, files):
    own = [*(TEXTS if name in ("packed", "streamed") else []), *CASES[name], f"data.cache_dir={files / 'cache'}"]
    source = {"images": [], "series": [f"data.source={files / 'series' / 'waves.csv'}"]}
    return [*SMALL, *own, *source.get(name, [f"data.source={files}/*.jsonl"])]


@pytest.fixture(scope="module", params=CASES)
def case(request, files):
    return request.param, command(request.param, files)


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """A run that was left alone."""
    return train(tmp_path_factory.mktemp("whole"), case[1])


@pytest.fixture(scope="module")
def taught(files, tmp_path_factory):
    """A run that has learned which words go together."""
    long = ["trainer.max_epochs=10", "task.pack=false", "optimizer=muon", "optimizer.lr=2e-2", "model.dropout=0"]
    rare = ["checkpoint.every_steps=null", "model.positions=learned", "data.tokenizer.kind=word"]
    return train(tmp_path_factory.mktemp("taught"), [*command("packed", files), *long, *rare])


def test_it_goes_on_to_the_last_bit_and_is_evaluated_alike(case, whole, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        dies_at(patched, Learner, "training_step", 5)
        with pytest.raises(Died):
            main(["train", *case[1], f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *case[1], f"output_dir={tmp_path / 'died'}"]) == 0
    check_same(the_run(tmp_path / "died"), whole)
    known = json.loads((whole.path / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    found = json.loads(capsys.readouterr().out)
    scores = {key: value for key, value in found.items() if isinstance(value, float)}
    assert scores == pytest.approx({key: known["test"][key] for key in scores}, rel=1e-4)
    assert {"comprehensiveness", "sufficiency"} <= known["attention"]["scores"]["attention"].keys()


def test_a_new_image_and_a_new_series_have_patches_hidden(case, whole, tmp_path, capsys):
    new = {"images": tmp_path / "one.png", "series": tmp_path / "one.csv"}
    if case[0] not in new:
        pytest.skip("a text says itself what is hidden")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(new["images"])
    lines = [f"{i},{np.sin(i / 2):.4f},{np.cos(i / 3):.4f}" for i in range(16)]
    new["series"].write_text("\n".join(["hour,a,b", *lines]) + "\n")
    capsys.readouterr()
    assert main(["predict", str(whole.path), str(new[case[0]])]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["hidden"]) == (2 if case[0] == "images" else 6)  # half of the patches
    assert all(np.isfinite(one["values"]).all() for one in found["hidden"])
    assert found["explained"]["what"].startswith("value ")
    assert main(["export", str(whole.path), "--out", str(tmp_path / "file")]) == 2
    assert "finds what is hidden, which is pre-training" in capsys.readouterr().err
    assert not (tmp_path / "file").exists()


def test_hidden_words_are_found_and_explained(taught, files, tmp_path, capsys):
    known = json.loads((taught.path / "metrics.json").read_text())["test"]
    assert known["accuracy"] > 0.8
    assert known["perplexity"] == pytest.approx(np.exp(known["loss"]), rel=1e-4)
    capsys.readouterr()
    asked = [f"we saw a [MASK] {thing} today" for thing in THINGS.values()]
    asked += [f"we saw a {colour} [MASK] today" for colour in THINGS]
    assert main(["predict", str(taught.path), *asked, "we [MASK] a red [MASK] today"]) == 0
    *each, several = map(json.loads, capsys.readouterr().out.splitlines())
    right = [one["hidden"][0]["token"] for one in each]
    assert right == [*THINGS, *THINGS.values()]
    for number, one in enumerate(each):
        assert one["attention"][3 + number // 4] == 0  # what is hidden tells nothing
        assert sum(one["attention"]) == pytest.approx(1, abs=1e-5)
    assert len(several["hidden"]) == 2
    assert several["hidden"][0]["token"] == "saw"
    page = tmp_path / "page.html"
    assert main(["explain", str(taught.path), asked[0], "--explainer", "occlusion", "--output", str(page)]) == 0
    capsys.readouterr()
    assert main(["explain", str(taught.path), "--split", "test", "--limit", "4", "--json"]) == 0
    story = json.loads(capsys.readouterr().out)
    assert [one["label"] == one["predicted"] for one in story["examples"]].count(True) >= 3
    bare = ["we saw a [MASK] cat that is by far the longest one here today", "we saw a red cat"]
    assert main(["predict", str(taught.path), asked[0], bare[0], bare[1], asked[1], bare[1]]) == 2
    told = capsys.readouterr()
    assert [json.loads(line)["input"] for line in told.out.splitlines()] == [asked[0], bare[0]]
    assert "we saw a red cat: no word is hidden in it; write [MASK] for one that is to be found" in told.err


def test_another_task_begins_from_it_with_its_vocabulary(taught, files, tmp_path, capsys):
    labelled = tmp_path / "labelled.csv"
    rows = [f"{text} and a kite,{text.split()[3]}" for text in sentences(80, 7)]
    labelled.write_text("\n".join(["text,label", *rows]) + "\n")
    own = ["data=texts", f"data.source={labelled}", f"data.cache_dir={files / 'cache'}", "trainer.max_epochs=1"]
    run = train(tmp_path / "tuned", [*SMALL, *own, f"model.init_from={taught.path}", "optimizer.lr=1e-9"])
    assert (run.path / "tokenizer.json").read_text() == (taught.path / "tokenizer.json").read_text()
    before, after = (weights(one, "best.ckpt")["state_dict"] for one in (taught, run))
    same = [key for key in after if key.startswith(("model.embed", "model.layers"))]
    assert same
    for key in same:
        torch.testing.assert_close(after[key], before[key], atol=1e-5, rtol=1e-5)
    assert Run(run.path).reader().spec.mask_id == Run(taught.path).reader().spec.mask_id != 1
    line = ["train", *SMALL, *own, f"model.init_from={taught.path}", "model.adapter=prompt"]
    assert main([*line, f"output_dir={tmp_path / 'no'}"]) == 2
    assert "model.adapter=prompt" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_refused(files, tmp_path, capsys):
    for words, said in (
        (["model.ngrams=2"], "model.ngrams=2: learns something of every answer"),
        (["model.attention_loss=faithful"], "model.attention_loss=faithful: learns something of every answer"),
        (["task.kept=0.6", "task.replaced=0.5"], "task.replaced=0.5: with kept leaves no token to hide"),
    ):
        assert main(["train", *command("packed", files), *words, f"output_dir={tmp_path / 'no'}"]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.long
def test_two_processes_pre_train_together(files, tmp_path, capsys):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "trainer.max_epochs=1"]
    line = [word for word in command("packed", files) if not word.startswith("trainer.max")]
    run = train(tmp_path / "outputs", [*line, *two])
    known = json.loads((run.path / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(run.path)]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(known["test"]["loss"], rel=1e-4)
