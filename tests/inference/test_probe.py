"""Suspicions tested: which inputs a change touches, and how its effect is counted."""

import json

import pytest
from scipy.stats import binomtest

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.inference.predict import predict
from attnpred.inference.probe import adding, changed, probe, replacing
from attnpred.runs.run import Run
from attnpred.statistics import share_interval
from tests.data.made import make_text_source


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    directory = tmp_path_factory.mktemp("runs")
    source = make_text_source(directory / "imdb")
    small = ["model.width=16", "model.depth=1", "model.heads=2", "model.ngrams=1", "data.tokenizer.kind=word"]
    data = [f"data.source={source}", f"data.cache_dir={directory / 'cache'}", "data.max_length=24", "data.batch_size=8"]
    quick = ["optimizer.lr=0.05", "trainer.max_steps=12", "trainer.precision=32-true", "logger=none"]
    assert main(["train", "model=transformer", "data=imdb", f"output_dir={directory}", *small, *data, *quick]) == 0
    return Run.find(str(next(directory.rglob("run.json")).parent))


def test_whole_words_are_exchanged():
    change = replacing("film=movie")
    assert changed("A Film, no films; film", change) == "A movie, no films; movie"
    assert changed({"a": "the film", "b": "none"}, change) == {"a": "the movie", "b": "none"}
    assert changed(["the", "film"], change) == ["the", "movie"]
    assert changed("great film", replacing("film=")) == "great "
    assert changed("great", adding("by spielberg")) == "great by spielberg"
    with pytest.raises(UserError, match="changes words"):
        changed(7, change)


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 40), (120, 400)])
def test_shares_have_wilsons_bounds(hits, count):
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    found = share_interval(hits, count)
    assert found == pytest.approx((hits / count, expected.low, expected.high))


def test_flips_are_those_of_the_answers(run):
    config = run.config()
    texts = ["the film was great", "the plot was lovely", "a dull film", "great great"]
    [found] = probe(run, config, [replacing("great=awful")], texts, "val", 10)
    before, after = (
        list(predict(run, config, some))
        for some in (["the film was great", "great great"], ["the film was awful", "awful awful"])
    )
    flips = sum(one["label"] != other["label"] for one, other in zip(before, after, strict=True))
    assert (found["inputs"], found["touched"], found["flips"]) == (4, 2, flips)
    moved = [
        other["probabilities"][one["label"]] - one["probabilities"][one["label"]]
        for one, other in zip(before, after, strict=True)
    ]
    assert found["moved"][0] == pytest.approx(sum(moved) / 2, abs=1e-5)
    assert {example["before"] for example in found["examples"]} == {"the film was great", "great great"}
    [none] = probe(run, config, [replacing("nowhere=here")], texts, "val", 10)
    assert (none["touched"], none["flip_rate"], none["moved"]) == (0, None, None)


def test_a_split_is_gone_through(run, capsys):
    assert main(["probe", str(run.path), "--add", "awful", "--replace", "film=movie", "--limit", "6", "--json"]) == 0
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert [one["change"] for one in found["changes"]] == ["replace film=movie", "add awful"]
    assert found["changes"][1]["touched"] == found["changes"][1]["inputs"] == 6
    assert "flip rate" in out.err
    originals = [columns[0] for columns in run.data(run.config()).originals("val")]
    assert {e["before"] for e in found["changes"][1]["examples"]} <= set(originals)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say what to change"),
        (["--replace", "film"], "--replace film: write OLD=NEW"),
        (["--add", " "], "--add: give words"),
        (["--add", "a", "--limit", "0"], "--limit 0: must be at least 1"),
    ],
)
def test_mistakes_are_one_line(run, words, message, capsys):
    assert main(["probe", str(run.path), *words]) == 2
    assert message in capsys.readouterr().err
