"""Alignments: how far they are from people's, and how the page shows them."""

import numpy as np
import pytest

from attnpred.explain.alignment import error_rate, links_of, read_links
from attnpred.explain.page import render
from attnpred.pages.alignments import CELL, below_one_another, matrix, table
from tests.explain.browser import executable
from tests.explain.stories import text_example, text_story


def test_the_error_rate_forgives_what_is_possible():
    sure, possible = read_links("0-0 1-1 2?1")
    assert (sure, possible) == ({(0, 0), (1, 1)}, {(0, 0), (1, 1), (2, 1)})
    assert error_rate([({(0, 0), (1, 1)}, sure, possible)]) == 0
    assert error_rate([({(0, 0), (1, 1), (2, 1)}, sure, possible)]) == 0
    assert error_rate([({(0, 0), (2, 0)}, sure, possible)]) == pytest.approx(1 - 2 / 4)
    assert links_of([[0.1, 0.9], [0.8, 0.2]]) == {(1, 0), (0, 1)}
    with pytest.raises(ValueError, match="invalid literal"):
        read_links("0:1")


@pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
def test_a_word_under_the_pointer_lights_up_what_it_attended(opened):
    words, rows = ["der", "Hund"], [[0.9, 0.1], [0.2, 0.8]]
    given = text_example(0, "der Hund", "der Hund", 0.9, words=["the", "dog"])
    maps = {name: [1.0, 0.5] for name in given["maps"]}
    example = {**given, "maps": maps, "probabilities": {}, "alignment": {"words": words, "rows": rows}}
    browser = opened(render(text_story([example], classes=[])))
    assert browser.ask("[...document.querySelectorAll('.aligned button')].map(e => e.textContent)") == words
    browser.ask("document.querySelectorAll('.aligned button')[1].click()")
    shares = "[...document.querySelectorAll('.aligned span')].map(e => e.style.getPropertyValue('--share'))"
    assert browser.ask(shares) == ["0.25", "1"]
    assert browser.ask("document.querySelector('.alignment [role=status]').textContent").startswith("Hund attends most")
    browser.ask("document.querySelector('.alignment details').open = true")
    browser.settle()
    assert browser.ask("document.querySelectorAll('.matrix td[title]').length") == 4


@pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
def test_the_maps_explain_the_word_that_is_pressed(opened):
    given = text_example(0, "der alte Hund", "der alte Hund", 0.9, words=["the", "old", "dog"])
    maps = {name: [1.0, 0.5, 0.0] for name in given["maps"]}
    other = {name: [0.0, 0.0, 7.0] for name in given["maps"]}
    choices = [{"word": 0, "explained": "der", "maps": maps}, {"word": 2, "explained": "Hu", "maps": other}]
    alignment = {"words": ["der", "alte", "Hund"], "rows": np.eye(3).tolist()}
    example = {**given, "maps": maps, "probabilities": {}, "alignment": alignment, "choices": choices}
    browser = opened(render(text_story([example], classes=[])))
    pressed = "[...document.querySelectorAll('.aligned button')].map(e => e.getAttribute('aria-pressed'))"
    assert browser.ask(pressed) == ["true", None, "false"]
    first = "document.querySelector('.maps .summary').innerText"
    assert browser.ask(first).startswith("most important: the 1")
    for word in (2, 1):  # the other is not explained, and changes nothing
        browser.ask(f"document.querySelectorAll('.aligned button')[{word}].click()")
        assert browser.ask(pressed) == ["false", None, "true"]
        assert browser.ask(first).startswith("most important: dog 7")
        assert "The maps explain Hund" in browser.ask("document.querySelector('.alignment').innerText")


def test_an_alignment_is_drawn_as_a_picture_and_as_a_table():
    drawn = np.asarray(matrix(["the", "dog"], {"words": ["der", "Hund"], "rows": [[1.0, 0.0], [0.0, 1.0]]}))
    assert drawn.shape[2] == 3
    left, top = drawn.shape[1] - 16 - 2 * CELL, drawn.shape[0] - 16 - 2 * CELL
    corners = [[drawn[top + CELL * row + 2, left + CELL * column + 2].sum() for column in (0, 1)] for row in (0, 1)]
    assert corners[0][0] == corners[1][1] < corners[0][1] == corners[1][0]
    assert below_one_another([matrix([], {"words": [], "rows": []})] * 2).shape[2] == 3
    answer = {"words": ["<b>"], "alignment": [{"word": "&", "attention": [1.0]}]}
    assert "&lt;b&gt;" in table(answer)
    assert "&amp;" in table(answer)
