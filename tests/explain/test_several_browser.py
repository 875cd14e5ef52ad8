"""Pages of several inputs and of several answers as a browser shows them; skipped where there is none."""

import pytest

from attnpred.explain.page import render
from tests.explain.browser import executable
from tests.explain.stories import answers_story, several_story

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")

TIP = "document.getElementById('tip').hidden ? null : document.getElementById('tip').innerText"
LINKED = (
    "[...document.querySelectorAll('.map')].slice(0, 2).map(m => "
    "[...m.querySelectorAll('.linked')].map(e => [Number(e.dataset.part), Number(e.getAttribute('fill-opacity') ?? "
    "e.style.getPropertyValue('--link'))]))"
)


@pytest.fixture
def show(opened):
    return lambda story, **how: opened(render(story), **how)


def at(browser, selector, x=0.5, y=0.5):
    """Moves the pointer to a place of an element, both as shares of its sides."""
    box = browser.ask(
        f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}});"
        " const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    )
    browser.settle()
    box = browser.ask(
        f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    browser.move(box[0] + x * box[2], box[1] + y * box[3])
    browser.settle()


def test_a_question_stands_beside_its_image_with_a_map_each(show):
    browser = show(several_story())
    maps = browser.ask("[...document.querySelectorAll('.map')].map(m => [m.dataset.input, m.tagName])")
    assert maps == [["0", "P"], ["1", "DIV"]] * 2
    heads = browser.ask("[...document.querySelectorAll('.panel h5')].map(e => e.innerText)")
    assert heads[2:4] == ["question 0.25 of this map", "image 0.75 of this map"]
    words = browser.ask("[...document.querySelectorAll('.map .word.evidence')].map(e => e.textContent)")
    assert words == ["left", "left"]
    lines = browser.ask("[...document.querySelectorAll('.summary')].map(e => e.innerText)")
    assert lines[:2] == ["most important: left 0.25", "most important: row 2, column 1 0.75"]
    tops = browser.ask("[...document.querySelectorAll('.panel.inputs')][1].querySelectorAll('.map').length")
    assert tops == 2


def test_pointing_at_a_word_lights_the_regions_that_it_reads(show):
    browser = show(several_story())
    at(browser, ".map [data-part='2']")
    assert browser.ask(TIP).split() == ["left", "attention", "0.25", "gradient", "0"]
    in_words, in_image = browser.ask(LINKED)
    assert in_words == []
    assert [part for part, _ in in_image] == [0, 2]
    assert in_image[1][1] > 5 * in_image[0][1] > 0


def test_pointing_at_a_region_lights_the_words_that_it_reads(show):
    browser = show(several_story())
    at(browser, ".map.picture", 0.25, 0.75)
    assert browser.ask(TIP).startswith("row 2, column 1")
    in_words, in_image = browser.ask(LINKED)
    assert in_image == []
    assert [part for part, _ in in_words] == [1, 2]
    assert in_words[1][1] > 2 * in_words[0][1] > 0
    at(browser, "h1")
    assert browser.ask(LINKED) == [[], []]


def test_heads_show_every_input(show):
    heads = [[[0.0, 0.0, 5.0, 1.0, 0.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 4.0]]]
    browser = show(several_story(heads=heads))
    browser.ask("document.querySelector('.heads summary').click()")
    browser.settle()
    told = browser.ask("[...document.querySelectorAll('.tile')].map(e => e.getAttribute('aria-label'))")
    assert told[1:] == [
        "layer 1, head 1: most important left 5",
        "layer 1, head 2: most important shape 4",
    ]
    views = browser.ask("[...document.querySelectorAll('.tile')].map(e => e.querySelectorAll('canvas').length)")
    assert views == [2, 2, 2]  # of each a strip of words and a small picture
    browser.ask("document.querySelectorAll('.tile')[2].click()")
    large = browser.ask("[...document.querySelectorAll('.large .summary')].map(e => e.innerText)")
    assert large == ["most important: shape 4", "most important: row 2, column 2 4"]


def test_several_answers_stand_side_by_side_and_are_measured_each(show):
    browser = show(answers_story())
    titles = browser.ask("[...document.querySelectorAll('.panel h4')].map(e => e.textContent)")
    assert titles == ["mood: attention", "stars: attention", "mood: gradient", "stars: gradient"]
    said = browser.ask("document.querySelector('.card h3').textContent")
    assert "mood: predicted positive 0.80" in said
    assert "stars: predicted 4.25" in said
    strongest = browser.ask("[...document.querySelectorAll('.summary')].slice(0, 2).map(e => e.textContent)")
    assert [line.split(";")[0] for line in strongest] == ["most important: drags 6", "most important: a 6"]
    sections = browser.ask("[...document.querySelectorAll('#faithfulness h3')].map(e => e.textContent)")
    assert [one for one in sections if one in ("mood", "stars")] == ["mood", "stars"]
    assert browser.ask("document.getElementById('faithfulness').textContent.includes('how glad')")
    at(browser, ".map [data-part='0']")
    told = browser.ask(TIP).split("\n")[1:]
    assert told == ["mood: attention 1", "mood: gradient 1", "stars: attention 6", "stars: gradient −6"]
