"""Runs as Python code uses them."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import attnpred
from attnpred.errors import UserError
from attnpred.inference.trained import Answers
from attnpred.modalities.text.reader import TextReader
from attnpred.pages.colours import shade
from tests.explain.conftest import trained  # noqa: F401
from tests.models.made import CLASSES, TEXT
from tests.tasks.made import classification


def test_three_lines(trained, tmp_path):  # noqa: F811
    file = tmp_path / "digit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)).save(file)
    answers = attnpred.load(str(trained)).predict(str(file))
    [answer] = answers
    assert answer["label"] in answer["probabilities"]
    assert np.sum(answer["attention"]) == pytest.approx(1, abs=1e-5)
    assert answers._repr_html_().count("<img ") == 1
    [signed] = attnpred.load(str(trained)).predict(str(file), explainer="input_x_gradient")
    assert np.min(signed["attention"]) < 0 < np.max(signed["attention"])
    assert signed["probabilities"] == pytest.approx(answer["probabilities"])


def test_texts_are_drawn_as_text():
    hostile = {
        "input": "x",
        "label": "<i>good",
        "probabilities": {"<i>good": 0.75},
        "words": ["<script>alert(1)</script>", "fine"],
        "attention": [-0.5, 1.0],
    }
    reader = TextReader(TEXT, SimpleNamespace(spelled={}), strip_html=False, truncate="both")
    page = Answers([hostile], classification(CLASSES["text"]), reader)._repr_html_()
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f"rgb{shade(-0.5, signed=True)}" in page
    assert f'<span title="1" style="background:rgb{shade(1.0, signed=True)};color:' in page


def test_a_run_that_is_none():
    with pytest.raises(UserError, match="no such directory"):
        attnpred.load("nowhere")
