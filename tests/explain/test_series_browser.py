"""The page of a series as a browser shows it: parts are moments of variables, by their names."""

import pytest

from attnpred.explain.page import render
from tests.explain.browser import executable
from tests.explain.stories import image_story

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")

TIP = "document.getElementById('tip').hidden ? null : document.getElementById('tip').innerText"
NAMES = {"rows": ["load", "price"], "columns": ["Monday", "Tuesday", "Wednesday"]}


@pytest.fixture
def page(opened):
    maps = {"attention": [0.1, 0.0, 0.3, 0.0, 0.6, 0.0]}
    story = image_story(side=96, grid=(2, 3), **NAMES, maps=maps, evidence=[0, 0, 0, 0, 1, 0], heads=[])
    return opened(render({**story, "modality": "series"}))


def test_moments_and_variables_are_named(page):
    assert page.ask("document.querySelector('.summary').innerText").startswith("most important: price from Tuesday 0.6")
    page.ask("document.querySelector('.map').focus()")
    page.press("ArrowRight")
    assert page.ask(TIP).startswith("load from Monday")
    page.press("ArrowDown")
    page.press("ArrowRight")
    assert page.ask(TIP).startswith("price from Tuesday")
    assert page.ask("document.getElementById('said').textContent").startswith("price from Tuesday: attention 0.6")


def test_the_darkest_place_is_the_most_important_one(page):
    alphas = page.ask(
        "(() => { const c = document.querySelector('.maps canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return [c.width, c.height, ...[0, 1, 2, 3, 4, 5].map(i => d[4 * i + 3])]; })()"
    )
    assert alphas[:2] == [3, 2]
    assert alphas[2:].index(max(alphas[2:])) == 4
    assert alphas[3] == alphas[5] == alphas[7] == 0
