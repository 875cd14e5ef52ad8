"""Which rows a person should label next."""

import json

import numpy as np
import pytest
from PIL import Image

from attnpred.cli import main
from attnpred.inference.label import Candidate, alike, chosen, entropy, looked_at
from tests.data.made import text_rows
from tests.explain.conftest import trained  # noqa: F401


def labelled(run, file, capsys, *words):
    assert main(["label", str(run), str(file), *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_least_sure_rows_come_first(text_run, tmp_path, capsys):
    texts = text_rows(40, seed=3)[0]
    file = tmp_path / "pool.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = labelled(text_run.path, file, capsys, "--most-uncertain", "5", "--diversity", "0")
    assert [row["uncertainty"] for row in found] == sorted((row["uncertainty"] for row in found), reverse=True)
    assert all(row["input"] == texts[row["row"]] and row["label"] is None for row in found)
    everything = labelled(text_run.path, file, capsys, "--most-uncertain", "40", "--diversity", "0")
    assert [row["row"] for row in everything[:5]] == [row["row"] for row in found]
    assert len(everything) == 40
    mixed = labelled(text_run.path, file, capsys, "--most-uncertain", "5", "--diversity", "0.9")
    assert {row["row"] for row in mixed} != {row["row"] for row in found}


def test_pictures_are_named_by_their_paths(trained, tmp_path, capsys):  # noqa: F811
    drawn = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(drawn.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "pool.csv").write_text("image\n" + "".join(f"{number}.png\n" for number in range(3)))
    found = labelled(trained, tmp_path / "pool.csv", capsys, "--most-uncertain", "2")
    assert len({row["input"] for row in found}) == 2


def test_mistakes_are_told_in_one_line(text_run, tmp_path, capsys):
    file = tmp_path / "pool.csv"
    file.write_text("words\nfine\n")
    for words, told in (
        ([], "has no column text"),
        (["--most-uncertain", "0"], "asks for no row"),
        (["--diversity", "2"], "must lie within 0 and 1"),
    ):
        assert main(["label", str(text_run.path), str(file), *words]) == 2
        assert told in capsys.readouterr().err


def test_uncertainty_is_a_share_of_what_it_can_be():
    assert entropy({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, True) == pytest.approx(1)
    assert entropy({"a": 1.0, "b": 0.0}, True) == 0
    assert entropy({"a": 0.5, "b": 1.0}, False) == pytest.approx(0.5)


def test_rows_that_are_read_alike_are_asked_for_once():
    words = {"words": ["A", "fine", "film"], "attention": [0.1, 0.8, 0.1]}
    looked = looked_at(words)
    assert alike(looked, looked) == pytest.approx(1)
    other = looked_at({"words": ["dull"], "attention": [1.0]})
    assert alike(looked, other) == 0
    image = looked_at({"attention": [[0.0, 0.0], [0.0, 1.0]], "size": [2, 2]})
    assert image[4, 4] == 1
    pool = [
        Candidate(0, "", {}, 0.9, looked),
        Candidate(1, "", {}, 0.89, looked),
        Candidate(2, "", {}, 0.5, other),
    ]
    assert [one.row for one in chosen(pool, 2, 0.0)] == [0, 1]
    assert [one.row for one in chosen(pool, 2, 0.5)] == [0, 2]
