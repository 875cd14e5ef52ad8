"""The page of a comparison without a browser: what is in it, and that no text breaks out of its place."""

import json

import numpy as np
import pytest

from attnpred.cli import main
from attnpred.compare import curves, index, where
from attnpred.compare.comparison import compare
from attnpred.compare.curves import _over_seeds
from attnpred.compare.page import render
from tests.compare.made import make_run
from tests.explain.test_page import HOSTILE, Elements, story_in


def page_of(place, **how):
    return render(compare(index.find([str(place)]).records, **how))


def test_a_page_holds_what_the_table_does(grid, tmp_path, capsys):
    file = tmp_path / "new" / "page.html"
    assert main(["compare", str(grid), "--json", "--html", str(file)]) == 0
    shown = capsys.readouterr()
    story, told = story_in(file.read_text()), json.loads(shown.out)
    assert [g["options"] for g in story["groups"]] == [g["config"] for g in told["groups"]]
    for one, other in zip(story["groups"], told["groups"], strict=True):
        assert one["results"]["val/accuracy"][0] == pytest.approx(other["results"]["val/accuracy"]["mean"], rel=1e-5)
    assert f"page: {file}" in shown.err


def test_the_heading_says_model_data_and_result(tmp_path):
    for name, data, value in (("a", "digits", 0.5), ("b", "digits", 0.9), ("c", "sst2", 0.7)):
        make_run(tmp_path / name, {"data.name": data, "optimizer.lr": value}, value=value)
    best = "val/accuracy 0.9, the best of"
    assert story_in(page_of(tmp_path))["title"] == f"resnet_attention: {best} 3 groups"
    of_one = page_of(tmp_path, conditions=where.conditions(["data=digits"]), sort="optimizer.lr")
    assert story_in(of_one)["title"] == f"resnet_attention on digits: {best} 2 groups"


def test_a_place_that_cannot_be_written_is_named(grid, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["compare", str(grid), "--html", str(tmp_path / "file" / "page.html")]) == 2
    assert "error: --html" in capsys.readouterr().err


def test_hostile_names_stay_text(tmp_path):
    tame, wild = tmp_path / "tame", tmp_path / "wild"
    for i, text in enumerate(HOSTILE[:-2]):
        make_run(wild / f"{i}", {"data.name": text, "model.pooling": text}, points=2)
        make_run(tame / f"{i}", {"data.name": f"name{i}", "model.pooling": f"name{i}"}, points=2)
    assert Elements(page_of(wild)).tags == Elements(page_of(tame)).tags
    assert {g["options"]["data"] for g in story_in(page_of(wild))["groups"]} == set(HOSTILE[:-2])


def test_what_is_no_number_breaks_nothing(tmp_path):
    run = make_run(tmp_path / "0", {"optimizer.lr": 0.5}, value=float("nan"))
    make_run(tmp_path / "1", points=1)
    (run / "metrics.jsonl").write_text('{"step": 1, "val/accuracy": NaN}\n{"step": 2, "val/accuracy": Infinity}\n{"st')
    (last,) = (g for g in story_in(page_of(tmp_path))["groups"] if g["options"]["optimizer.lr"] == 0.5)
    assert last["results"]["val/accuracy"][0] is None
    assert last["curves"]["val/accuracy"] == []


def test_curves_are_means_over_the_seeds_that_got_so_far():
    seeds = [([1.0, 2.0, 3.0], [0.1, 0.2, 0.3]), ([1.0, 3.0], [0.3, 0.5]), ([1.0], [0.2])]
    assert _over_seeds(seeds) == [
        (1.0, pytest.approx(0.2), pytest.approx(0.1), 3),
        (2.0, pytest.approx(0.3), pytest.approx(np.std([0.2, 0.4], ddof=1)), 2),
        (3.0, pytest.approx(0.4), pytest.approx(np.std([0.3, 0.5], ddof=1)), 2),
    ]


def test_long_records_are_thinned(monkeypatch):
    steps = [float(i) for i in range(1000)]
    curve = _over_seeds([(steps, steps)])
    assert len(curve) == curves.MOST_POINTS
    assert (curve[0][0], curve[-1][0]) == (0.0, 999.0)
    assert all(step == mean for step, mean, _, _ in curve)
