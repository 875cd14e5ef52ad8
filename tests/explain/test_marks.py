"""Words with answers of their own on the page: what is embedded, and how a browser shows it."""

import json
import re

import pytest

from attnpred.explain.page import render
from tests.explain.browser import executable
from tests.explain.stories import text_example, text_story

WORDS = ["Ann", "saw", "Rome"]
MARKS = [["B-per", "B-per"], ["O", "O"], ["O", "B-loc"]]
MAPS = {"attention": [3.0, 1.0, 0.0], "gradient": [1.0, -1.0, 0.0], "occlusion": [1.0, 0.0, 2.0]}
OTHER = {"attention": [0.0, 2.0, 1.0], "gradient": [0.0, 1.0, 1.0], "occlusion": [0.0, 3.0, -1.0]}


def example(marks=MARKS):
    choices = [{"word": 0, "explained": "B-per", "maps": MAPS}, {"word": 2, "explained": "O", "maps": OTHER}]
    given = text_example(4, "per, loc", "per", 0.9, words=WORDS, marks=marks, choices=choices)
    return {**given, "maps": MAPS, "explained": "B-per", "wrong": True, "probabilities": {}}


def story(marks=MARKS):
    return text_story([example(marks)], modality="words", classes=[])


def test_answers_are_embedded_by_number():
    page = render(story([*MARKS[:2], None]))
    [text] = re.findall(r'id="story">(.*?)</script>', page, re.DOTALL)
    embedded = json.loads(text)
    [one] = embedded["examples"]
    names = embedded["classes"]
    assert [mark and [names[number] for number in mark] for mark in one["marks"]] == [*MARKS[:2], None]
    assert [(choice["word"], names[choice["explained"]]) for choice in one["choices"]] == [(0, "B-per"), (2, "O")]
    assert one["choices"][0]["maps"]["attention"] == one["maps"]["attention"] != one["choices"][1]["maps"]["attention"]


@pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
def test_the_word_that_is_pressed_has_its_answer_explained(opened):
    browser = opened(render(story()))
    shown = "[...document.querySelectorAll('.mark')].map(e => [e.tagName, ...[...e.children].map(c => c.textContent)])"
    assert browser.ask(shown) == [["BUTTON", "Ann", "B-per"], ["SPAN", "saw", ""], ["BUTTON", "Rome", "O, is B-loc"]]
    why = "document.querySelector('.marks').nextSibling.textContent"
    lines = "[...document.querySelectorAll('.summary')].map(e => e.innerText)"
    pressed = "[...document.querySelectorAll('button.mark')].map(e => e.getAttribute('aria-pressed'))"
    assert browser.ask(why) == "The maps explain B-per of Ann."
    assert browser.ask(lines)[0] == "most important: Ann 3; saw 1"
    assert browser.ask(pressed) == ["true", "false"]
    browser.ask("document.querySelectorAll('button.mark')[1].click()")
    browser.settle()
    assert browser.ask(why) == "The maps explain O of Rome."
    assert browser.ask(lines)[0] == "most important: saw 2; Rome 1"
    assert browser.ask(pressed) == ["false", "true"]
    assert browser.ask("document.querySelectorAll('.map').length") == 2
