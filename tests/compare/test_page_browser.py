"""The page of a comparison as a browser shows it; skipped where there is none."""

import json
import re
from itertools import pairwise

import pytest

from tests.compare.made import make_run
from tests.compare.test_page import page_of
from tests.explain.browser import executable
from tests.explain.test_page import HOSTILE

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")

NUMBERS = "[...document.querySelectorAll('#groups tbody tr')].map(r => r.children[1].textContent)"
COUNT = "document.getElementById('count').textContent"
TIP = "document.getElementById('tip').hidden ? null : document.getElementById('tip').innerText"
SAID = "document.getElementById('said').textContent"
FOCUS = "document.activeElement.id || document.activeElement.dataset.key || document.activeElement.ariaLabel"


@pytest.fixture
def show(opened, browser):
    yield lambda grid, options=None, **how: opened(page_of(grid, **(options or {})), **how)
    assert [url for url in browser.requests if not url.startswith("file:///")] == []  # it holds no pictures either


def set_value(browser, element, value, kind="input"):
    browser.ask(
        f"(() => {{ const e = document.getElementById({element!r}); e.value = {json.dumps(value)};"
        f" e.dispatchEvent(new Event({kind!r}, {{bubbles: true}})); }})()"
    )
    browser.settle()


def drag(browser, x, start, end):
    for kind, y in (
        ("mousePressed", start),
        ("mouseMoved", (start + end) / 2),
        ("mouseMoved", end),
        ("mouseReleased", end),
    ):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    browser.settle()


def middle(browser, selector, number=0):
    return browser.ask(
        f"(() => {{ const e = document.querySelectorAll({selector!r})[{number}]; e.scrollIntoView({{block: 'center'}});"
        " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.top, r.bottom]; })()"
    )


def test_heads_sort(show, grid):
    browser = show(grid)
    assert browser.ask(NUMBERS) == ["1", "2", "3", "4", "5", "6"]

    def click(key):
        browser.ask(f"document.querySelector('[data-key=\"{key}\"]').click()")
        return browser.ask(
            "[...document.querySelectorAll('#groups tbody tr')]"
            ".map(r => [...r.children].slice(2, 4).map(c => c.textContent))"
        )

    assert [row[1] for row in click("optimizer.lr")] == ["0.001", "0.001", "0.01", "0.01", "0.1", "0.1"]
    assert [row[1] for row in click("optimizer.lr")] == ["0.1", "0.1", "0.01", "0.01", "0.001", "0.001"]
    assert browser.ask(FOCUS) == "optimizer.lr"
    assert browser.ask("document.querySelector('th[aria-sort]').ariaSort") == "descending"
    click("val/accuracy")
    assert browser.ask(NUMBERS) == ["1", "2", "3", "4", "5", "6"]  # the best first
    click("val/accuracy")
    assert browser.ask(NUMBERS) == ["6", "5", "4", "3", "2", "1"]


def test_the_box_keeps_what_it_says(show, grid):
    browser = show(grid)
    for text, count in (
        ("lr<0.05", 4),
        ("lr<0.05 width=16", 2),
        ("optimizer.lr>=0.01", 4),
        ("lr!=0.1", 4),
        ("val/accuracy>0.72", 3),
        ("16-0.001", 1),
        ("lr=0.", 0),
        ("nothing at all", 0),
        ("", 6),
    ):
        set_value(browser, "filter", text)
        assert len(browser.ask(NUMBERS)) == count, text
        told = browser.ask(COUNT)
        assert told.startswith("No group" if not count else "6 groups" if count == 6 else f"{count} of 6 groups")


def test_boxes_give_curves_their_colours(show, grid):
    browser = show(grid)
    lines = "[...document.querySelectorAll('#curves-figure .curve')].map(e => +e.dataset.group)"
    assert browser.ask(lines) == [0, 1, 2, 3, 4]
    browser.ask("document.querySelectorAll('#groups tbody input')[1].click()")
    browser.ask("document.querySelectorAll('#groups tbody input')[5].click()")
    assert browser.ask(lines) == [0, 2, 3, 4, 5]
    assert browser.ask("document.querySelector('#curves-figure [data-group=\"5\"]').classList.contains('line-1')")
    assert browser.ask("document.querySelectorAll('.band').length") == 5
    browser.ask("document.getElementById('band').click()")
    assert browser.ask("document.querySelectorAll('.band').length") == 0
    assert browser.ask("[...document.getElementById('curve').options].map(o => o.value)") == [
        "val/accuracy",
        "train/loss",
    ]
    set_value(browser, "curve", "train/loss", "change")
    assert browser.ask("document.querySelector('#curves figcaption b').textContent") == "train/loss"
    browser.ask("document.querySelectorAll('#groups tbody input:checked').forEach(e => e.click())")
    for _ in range(5):
        browser.ask("document.querySelector('#groups tbody input:checked')?.click()")
    assert "No group that is shown has a colour" in browser.ask("document.getElementById('curves-figure').textContent")


def test_curves_are_read_by_pointer_and_by_key(show, grid):
    browser = show(grid)
    x, top, bottom = middle(browser, ".reading")
    browser.move(x, (top + bottom) / 2)
    tip = browser.ask(TIP).splitlines()
    assert tip[0].startswith("step ")
    assert len(tip) == 6
    assert re.fullmatch(r"\s*width=16 lr=0.01: 0\.\d{4} ± 0\.\d{4}, 3 seeds", tip[1].replace("\u00a0", " "))
    browser.move(1, 1)
    assert browser.ask(TIP) is None
    browser.ask("document.querySelector('.reading').focus()")
    browser.press("Home")
    assert browser.ask(SAID).startswith("step 10: ")
    browser.press("ArrowRight")
    assert browser.ask(SAID).startswith("step 20: ")
    browser.press("End")
    assert browser.ask(SAID).startswith("step 40: ")
    browser.press("ArrowRight")
    assert browser.ask(SAID).startswith("step 40: ")
    browser.press("Escape")
    assert browser.ask(TIP) is None


def test_brushes_choose_groups(show, grid):
    browser = show(grid)
    assert browser.ask("document.querySelectorAll('.parallel .curve').length") == 6
    names = "[...document.querySelectorAll('.axis-name')].map(e => e.textContent)"
    assert browser.ask(names) == ["width", "lr", "accuracy", "accuracy"]
    x, top, bottom = middle(browser, ".ground", 0)
    drag(browser, x + 12, top + 4, (top + bottom) / 2)  # the upper half of the widths
    assert browser.ask(COUNT) == "3 of 6 groups, 9 runs"
    assert browser.ask("document.querySelectorAll('.parallel .out').length") == 3
    x, top, bottom = middle(browser, ".ground", 1)
    drag(browser, x + 12, bottom - 4, (top + bottom) / 2 + 20)  # the least rate
    assert browser.ask(COUNT) == "1 of 6 groups, 3 runs"
    x, top, bottom = middle(browser, "#handle-1-0")
    drag(browser, x, (top + bottom) / 2, (top + bottom) / 2 - 400)  # all rates from there up
    assert browser.ask(COUNT) == "3 of 6 groups, 9 runs"
    browser.ask("document.getElementById('clear').click()")
    assert browser.ask(COUNT) == "6 groups, 18 runs"
    x, top, bottom = middle(browser, ".ground", 0)
    drag(browser, x + 12, top + 4, (top + bottom) / 2)
    browser.ask("document.querySelector('.ground').dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))")
    assert browser.ask(COUNT) == "6 groups, 18 runs"


def test_brushes_by_key(show, grid):
    browser = show(grid)
    value = "document.activeElement.getAttribute('aria-valuetext')"
    browser.ask("document.getElementById('handle-1-0').focus()")
    assert browser.ask(value) == "0.1"
    browser.press("ArrowDown")
    assert browser.ask(value) == "0.01"
    assert browser.ask(FOCUS) == "handle-1-0"
    assert browser.ask(COUNT) == "4 of 6 groups, 12 runs"
    assert browser.ask(SAID) == browser.ask(COUNT)
    for _ in range(3):
        browser.press("ArrowDown")
    assert browser.ask(value) == "0.001"  # not beyond the other end
    assert browser.ask(COUNT) == "2 of 6 groups, 6 runs"
    browser.press("Escape")
    assert browser.ask(COUNT) == "6 groups, 18 runs"
    browser.ask("document.getElementById('handle-0-1').focus()")
    browser.press("ArrowUp")
    assert browser.ask(value) == "16"
    assert browser.ask(COUNT) == "3 of 6 groups, 9 runs"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_until_it_is_chosen(show, grid, scheme):
    browser = show(grid, prefers_color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    by_system = browser.ask(ground)
    other = "dark" if scheme == "light" else "light"
    set_value(browser, "theme", other, "change")
    assert browser.ask(ground) != by_system
    set_value(browser, "theme", "auto", "change")
    assert browser.ask(ground) == by_system


def test_hostile_names_are_shown_as_they_are(show, tmp_path):
    for i, text in enumerate(HOSTILE[:-2]):
        make_run(tmp_path / "runs" / str(i), {"data.name": text, "model.pooling": f"{text}{i}"}, points=3)
    browser = show(tmp_path / "runs")
    shown = browser.ask("[...document.querySelectorAll('#groups tbody tr')].map(r => r.children[2].textContent)")
    assert sorted(shown) == sorted(HOSTILE[:-2])
    assert browser.ask("document.querySelectorAll('img, main script').length") == 0
    browser.ask("document.querySelector('.reading').focus()")
    browser.press("End")
    assert browser.ask("document.querySelectorAll('#tip img, #tip script').length") == 0


def test_many_groups_are_shown_in_parts(show, tmp_path):
    for i in range(30):
        make_run(
            tmp_path / "runs" / str(i), {"optimizer.lr": 10.0 ** (-i % 7), "model.width": i}, value=i / 40, points=2
        )
    browser = show(tmp_path / "runs")
    assert len(browser.ask(NUMBERS)) == 20
    assert browser.ask("document.getElementById('more').textContent") == "Show 10 more"
    browser.ask("document.getElementById('more').click()")
    assert len(browser.ask(NUMBERS)) == 30
    assert browser.ask("document.getElementById('more').hidden")
    assert browser.ask("document.querySelectorAll('.parallel .curve').length") == 30


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("kind", ["one", "many", "long"])
def test_everything_has_a_name_and_fits(show, tmp_path, grid, width, kind):
    place = grid if kind == "many" else tmp_path / kind
    for i in range({"one": 1, "many": 0, "long": 4}[kind]):
        make_run(
            place / (f"{i}" + "long" * 40), {"data.name": "x" * 90 + f"{i}", "model.pooling": f"a b{i} " * 20}, points=3
        )
    browser = show(place, width=width, height=800)
    browser.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.settle()
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "checkbox", "combobox", "searchbox", "link", "image", "img", "region", "navigation", "slider"}
    named = [node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]]
    assert len(named) > 8
    assert [node["role"]["value"] for node in named if not node.get("name", {}).get("value")] == []
    levels = browser.ask(
        "[...document.querySelectorAll('h1, h2, h3, h4')].filter(e => e.checkVisibility()).map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == browser.ask(
        "document.querySelectorAll('[id]').length"
    )
    assert browser.ask("document.getElementById('options').hidden") == (kind == "one")
