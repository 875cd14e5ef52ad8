"""What the page and figures show people beside maps: whole splits, another run, training examples that are alike."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.explain.overview import overview
from attnpred.explain.page import render
from attnpred.explain.prototypes import Prototypes
from attnpred.modalities.image.reader import ImageReader
from attnpred.pages import figure
from tests.explain.stories import EXPLAINERS, text_example, text_story
from tests.models.made import CLASSES, IMAGE, image_batch, make_model
from tests.tasks.made import classification


def example(number, words, values, *, wrong, **more):
    return {
        **text_example(number, "positive", "negative" if wrong else "positive", 0.9, words=words, **more),
        "maps": {"attention": values},
    }


def test_words_that_matter_and_words_on_which_mistakes_hang():
    examples = [example(i, ["Fine", "film", "so"], [0.6, 0.3, 0.1], wrong=False) for i in range(9)]
    examples += [example(i, ["not", "fine"], [0.8, 0.2], wrong=True) for i in range(4)]
    found = overview(examples, "attention")
    first = found["words"]["positive"][0]
    assert (first["word"], first["count"]) == ("fine", 9)
    assert first["share"] == pytest.approx(0.6)
    worst = found["mistakes"][0]
    assert (worst["word"], worst["wrong"], worst["count"]) == ("not", 4, 4)
    assert worst["usual"] == pytest.approx(4 / 13)
    assert {one["word"] for one in found["mistakes"]} == {"not"}  # fine is important everywhere


def test_two_runs_are_told_apart():
    examples = [example(i, ["not", "good"], [0.9, 0.1], wrong=False) for i in range(3)]
    for one in examples:
        one["maps"]["beside"] = [0.1, 0.9]
    found = overview(examples, "attention")["beside"]
    assert {one["word"] for one in found} == {"not", "good"}
    told = next(one for one in found if one["word"] == "not")
    assert (told["here"], told["there"]) == pytest.approx((0.9, 0.1))


def test_mean_maps_of_images():
    one = {"grid": [1, 2], "explained": "a", "label": "a"}
    examples = [
        {**one, "wrong": wrong, "maps": {"attention": values}} for wrong, values in ((False, [1, 0]), (True, [0, 1]))
    ]
    found = overview(examples, "attention")
    assert found["regions"] == {"a": [0.5, 0.5], "mistakes": [0, 1], "right answers": [1, 0]}


def test_the_nearest_are_those_looked_at_alike():
    model, batch = make_model("resnet_attention", IMAGE), image_batch(4)
    task, reader = classification(CLASSES["image"]), ImageReader(IMAGE)
    found = Prototypes(model, task, reader, [batch], "cpu").nearest(batch.rows(torch.tensor([2, 0])), 2)
    assert [near[0]["id"] for near in found] == [2, 0]
    assert found[0][0]["likeness"] == pytest.approx(1, abs=1e-5)
    assert found[0][1]["likeness"] < found[0][0]["likeness"]


def test_a_page_shows_all_of_it(trained, tmp_path, capsys):
    other = shutil.copytree(trained, tmp_path / "other")
    page, drawing = tmp_path / "page.html", tmp_path / "figure.pdf"
    flags = ["--limit", "6", "--explainer", "attention", "--beside", str(other), "--prototypes", "2"]
    assert main(["explain", str(trained), *flags, "--output", str(page), "--figure", str(drawing)]) == 0
    whole = page.read_text(encoding="utf-8")
    assert '"prototypes"' in whole
    assert '"beside"' in whole
    assert drawing.read_bytes().startswith(b"%PDF")
    capsys.readouterr()
    assert main(["explain", str(trained), *flags, "--json"]) == 0
    story = json.loads(capsys.readouterr().out)
    for one in story["examples"]:
        assert one["maps"]["beside"] == pytest.approx(one["maps"]["attention"])  # it is the same model
        assert len(one["prototypes"]) == 2
    assert set(story["overview"]) == {"explainer", "grid", "regions"}


def test_examples_are_drawn_in_the_browser(opened):
    near = {"id": 7, "label": "positive", "predicted": "positive", "likeness": 0.5, "words": ["fine"], "map": [1.0]}
    examples = [text_example(i, "positive", "negative", 0.9, prototypes=[near], beside="positive") for i in range(4)]
    for one in examples:
        one["maps"]["beside"] = one["maps"]["attention"]
    story = text_story(examples, overview=overview(examples, "attention"))
    browser = opened(render(story))
    assert browser is not None


@pytest.mark.parametrize("ending", ["pdf", "svg", "png", "tex"])
def test_coloured_words_for_papers(ending, tmp_path):
    examples = [text_example(1, "positive", "positive", 0.9, words=["50%", "of", "$9", "a_b", "{x}", "long" * 30])]
    found = figure.figure(examples, EXPLAINERS[:2], tmp_path / f"figure.{ending}")
    assert found == figure.figure(examples, EXPLAINERS[:2], tmp_path / f"figure.{ending}")
    if ending == "tex":
        text = found.decode()
        assert r"50\%" in text
        assert r"\{x\}" in text
        assert r"\colorbox[RGB]" in text
        assert text.count("{") == text.count("}")
    elif ending == "svg":
        assert b"<path" in found
        assert b"<text" not in found  # letters are outlines: no font is needed to read it
    elif ending == "pdf":
        assert b"Type3" not in found
        assert b"FontFile2" in found
    else:
        assert found.startswith(b"\x89PNG")


def test_pictures_for_papers(tmp_path):
    import base64
    import io

    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(out, "PNG")
    image = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    one = {"image": image, "size": [8, 8], "grid": [2, 2], "predicted": "cat", "maps": {"gradient": [0.5, -1, 0, 0]}}
    assert figure.figure([one], EXPLAINERS[1:2], tmp_path / "f.svg").lstrip().startswith(b"<?xml")
    with pytest.raises(UserError, match="LaTeX is for words"):
        figure.figure([one], EXPLAINERS[1:2], tmp_path / "f.tex")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--figure", "maps.gif"], "--figure maps.gif: name a file that ends with .pdf, .svg, .png or .tex"),
        (["--prototypes", "-1"], "--prototypes -1: must be at least 0"),
        (["--beside", "nowhere"], "nowhere: no such directory"),
    ],
)
def test_mistakes_are_one_line(trained, flags, message, capsys):
    assert main(["explain", str(trained), "--limit", "2", *flags]) == 2
    assert message in capsys.readouterr().err
