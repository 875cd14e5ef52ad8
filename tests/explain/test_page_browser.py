"""The page as a browser shows it; skipped where there is none."""

from itertools import pairwise

import pytest

from attnpred.explain import page
from attnpred.explain.page import render
from tests.explain.browser import executable
from tests.explain.stories import WORDS, faithfulness, image_story, mixed_examples, text_example, text_story
from tests.explain.test_page import HOSTILE

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")

IDS = "[...document.querySelectorAll('.card .number')].map(e => e.textContent)"
COUNT = "document.getElementById('count').textContent"
WHERE = "document.activeElement.querySelector?.('.number')?.textContent ?? document.activeElement.id"
TIP = "document.getElementById('tip').hidden ? null : document.getElementById('tip').innerText"


@pytest.fixture
def show(opened):
    return lambda story, **how: opened(render(story), **how)


def change(browser, element, value):
    """As a user does it, but without opening the list."""
    kind = "input" if element == "search" else "change"
    browser.ask(
        f"(() => {{ const e = document.getElementById({element!r}); e.value = {value!r};"
        f" e.dispatchEvent(new Event({kind!r}, {{bubbles: true}})); }})()"
    )
    browser.settle()


def test_hostile_text_is_shown_as_it_is(show):
    evil = HOSTILE[3]
    story = text_story([text_example(0, evil, "positive", 0.8, words=HOSTILE)], title=HOSTILE[0])
    story["classes"] = [evil, "positive"]
    browser = show(story)
    shown = browser.ask("[...document.querySelector('.map').querySelectorAll('.word')].map(e => e.textContent)")
    assert shown == [word.replace("\ud800", "\ufffd") for word in HOSTILE]
    assert browser.ask("document.querySelector('h1').textContent") == HOSTILE[0]
    assert browser.ask("document.querySelector('.wrong').textContent") == f"mistake: is {evil}"
    assert browser.ask("document.querySelectorAll('img, .card script').length") == 0


def test_nothing_gets_past_the_policy(browser, tmp_path):
    """That the other tests see no request proves something only if a request would be seen, and stopped."""
    file = tmp_path / "page.html"
    more = '<img src="http://127.0.0.1:9/x.png"><script>document.title = "taken"</script></body>'
    file.write_text(render(text_story(mixed_examples())).replace("</body>", more), encoding="utf-8")
    browser.open(file)
    assert len([text for text in browser.complaints if "Content Security Policy" in text]) == 2
    assert browser.ask("document.title") != "taken"


def test_words_are_shaded_by_importance_and_sign(show):
    browser = show(text_story([text_example(0, "negative", "positive", 0.8)]))
    shades = (
        "[...document.querySelectorAll('.map')].map(m => [...m.querySelectorAll('.word')].map(w => w.classList[1]))"
    )
    unsigned, signed = browser.ask(shades)
    assert unsigned == [f"importance-{level}" for level in (1, 3, 4, 5, 7, 8)]
    assert signed == [f"{hue}-{level}" for hue, level in zip(["for", "against"] * 3, (1, 3, 4, 5, 7, 8), strict=True)]
    lines = browser.ask("[...document.querySelectorAll('.summary')].map(e => e.innerText)")
    assert lines[0].startswith("most important: drags 6; never 5; that 4")
    assert lines[1].splitlines() == ["for: never 5; film 3; a 1", "against: drags −6; that −4; fine −2"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_until_it_is_chosen(show, scheme):
    browser = show(text_story(mixed_examples()), prefers_color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    by_system = browser.ask(ground)
    other = "dark" if scheme == "light" else "light"
    change(browser, "theme", other)
    assert browser.ask(ground) != by_system
    change(browser, "theme", scheme)
    assert browser.ask(ground) == by_system
    change(browser, "theme", "auto")


def test_filters_and_search(show):
    browser = show(text_story(mixed_examples()))
    assert browser.ask(IDS) == ["#4", "#2", "#3", "#5", "#1"]
    assert browser.ask(COUNT) == "5 examples, 2 mistakes"
    change(browser, "outcome", "right")
    assert browser.ask(IDS) == ["#3", "#1"]
    assert browser.ask(COUNT) == "2 of 5 examples, 0 mistakes"
    change(browser, "predicted", "0")
    assert browser.ask(IDS) == ["#3"]
    change(browser, "outcome", "")
    change(browser, "true", "1")
    assert browser.ask(IDS) == ["#4"]
    for field in ("true", "predicted"):
        change(browser, field, "")
    change(browser, "search", "DULL")
    assert browser.ask(IDS) == ["#2"]
    change(browser, "search", "#5")
    assert browser.ask(IDS) == ["#5"]
    change(browser, "search", "nowhere")
    assert browser.ask(COUNT) == "No example matches."


def test_keys(show):
    browser = show(text_story(mixed_examples()))
    for key, where in (("j", "#4"), ("j", "#2"), ("ArrowRight", "#3"), ("k", "#2"), ("ArrowLeft", "#4"), ("k", "#4")):
        browser.press(key)
        assert browser.ask(WHERE) == where, key
    browser.press("/")
    assert browser.ask(WHERE) == "search"
    browser.press("j")  # is text now
    assert browser.ask("document.getElementById('search').value") == "j"
    browser.ask("document.activeElement.blur()")
    browser.press("?")
    assert browser.ask("document.getElementById('help').open")
    browser.ask("document.getElementById('keys').click(); document.getElementById('help').close()")
    browser.ask("document.activeElement.blur()")
    browser.press("/")
    assert browser.ask(WHERE) != "search"


def test_explainers_are_chosen(show):
    browser = show(text_story(mixed_examples()))
    titles = "[...document.querySelector('.card').querySelectorAll('h4')].map(e => e.textContent)"
    assert browser.ask(titles) == ["attention", "gradient"]
    browser.ask("document.querySelectorAll('fieldset input')[2].click()")
    browser.ask("document.querySelectorAll('fieldset input')[0].click()")
    assert browser.ask(titles) == ["gradient", "occlusion"]
    for box in (1, 2):
        browser.ask(f"document.querySelectorAll('fieldset input')[{box}].click()")
    assert browser.ask("document.querySelector('.card .text').textContent") == " ".join(["a", *WORDS[1:]])


def test_number_behind_a_word_by_pointer_and_by_key(show):
    browser = show(text_story([text_example(0, "negative", "positive", 0.8)]))
    browser.ask("document.querySelector('.card').scrollIntoView()")
    place = "(() => { const r = document.querySelectorAll('.word[data-part]')[2].getBoundingClientRect();"
    browser.move(*browser.ask(place + "return [r.x + r.width / 2, r.y + r.height / 2]; })()"))
    assert browser.ask(TIP).split() == ["film", "attention", "3", "gradient", "3"]
    browser.move(1, 1)
    assert browser.ask(TIP) is None
    browser.ask("document.querySelector('.map').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        browser.press(key)
    assert browser.ask(TIP).split() == ["fine", "attention", "2", "gradient", "−2"]
    assert browser.ask("document.getElementById('said').textContent") == "fine: attention 2, gradient −2"
    # a whole text is one stop of the tab key
    assert browser.ask("document.querySelector('.maps').querySelectorAll('[tabindex]').length") == 2


def test_long_text_shows_what_matters_and_unfolds(show):
    words = [f"word{i}" for i in range(400)]
    example = text_example(0, None, "positive", 0.8, words=words)
    example["maps"] = {"attention": [float(i == 300) for i in range(400)]}
    browser = show(text_story([example]))
    shown = "[...document.querySelectorAll('.map .word')].map(e => e.textContent)"
    assert "word300" in browser.ask(shown)
    assert len(browser.ask(shown)) == 120
    browser.ask("document.querySelector('.whole').click()")
    assert browser.ask(shown) == words


def test_heads_unfold_when_opened(show):
    ramp = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    heads = [[ramp, ramp[::-1]]] * 3
    browser = show(text_story([text_example(0, "negative", "positive", 0.8, heads=heads)]))
    assert browser.ask("document.querySelectorAll('.tile').length") == 0
    browser.ask("document.querySelector('.heads summary').click()")
    browser.settle()
    names = browser.ask("[...document.querySelectorAll('.tile')].map(e => e.getAttribute('aria-label'))")
    assert len(names) == 9  # of each layer the mean and two heads
    assert names[1].startswith("layer 1, head 1: most important drags 6")
    assert names[2].startswith("layer 1, head 2: most important a 6")
    browser.ask("document.querySelectorAll('.tile')[0].focus()")
    browser.press("ArrowRight")
    browser.ask("document.activeElement.click()")
    assert browser.ask("document.querySelector('.large h4').textContent") == "layer 1, head 1"


def test_images_stand_beside_their_maps(show):
    browser = show(image_story())
    assert browser.ask("document.querySelector('.card img').alt") == "image of example 7, labelled cat"
    assert browser.ask("document.querySelector('.card img').naturalWidth") == 32
    assert browser.ask("getComputedStyle(document.querySelector('.card img')).imageRendering") == "pixelated"
    alpha = (
        "[...document.querySelectorAll('.maps canvas')].map(c => {"
        "const d = c.getContext('2d').getImageData(0, 0, 4, 4).data; return [d[3], d[63]]; })"
    )
    (first, last), _ = browser.ask(alpha)
    assert (first, last) == (0, 215)
    sides = "document.querySelector('.border.light').getAttribute('d').split('M').slice(1).sort()"
    assert browser.ask(sides) == ["1 1h1", "1 1v1", "1 2h1", "2 1h1", "2 2h1", "3 1v1"]
    assert "The maps explain cat." in browser.ask("document.querySelector('.card').innerText")
    browser.ask("document.querySelector('.map').focus()")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    assert browser.ask(TIP).startswith("row 2, column 1")


def test_faithfulness_says_what_is_not_better_than_random(show):
    browser = show(text_story(mixed_examples(), faithfulness=faithfulness()))
    table = "[...document.querySelectorAll('#faithfulness tbody')[0].rows].map(r => [...r.cells].map(c => c.innerText))"
    attention, gradient, floor = browser.ask(table)
    assert attention[1].startswith("0.500\n0.450 to 0.550")
    unclear, worse = "no difference from random shown", "worse than random"
    assert [unclear in cell for cell in attention] == [False, False, False, True, False]
    assert [unclear in cell for cell in gradient] == [False, True, False, False, False]
    assert [worse in cell for cell in gradient] == [False, False, True, False, False]
    assert "hardly depends on the weights" in gradient[4]
    assert floor[0] == "random (the floor)"
    assert not {unclear, worse} & set("\n".join(floor).split("\n"))
    assert browser.ask("document.querySelector('.chart desc').textContent").endswith("With 50 % taken away: "
        "attention 0.113, gradient 0.392, random 0.45.")  # fmt: skip
    assert browser.ask("getComputedStyle(document.querySelector('polyline.floor')).strokeDasharray") != "none"
    assert set(browser.ask("[...document.querySelectorAll('.curve-name')].map(e => e.textContent)")) == {
        "attention",
        "gradient",
        "random",
    }


@pytest.mark.parametrize("measured", [None, {"removal": "mask", "examples": 1}, {**faithfulness(), "fractions": []}])
def test_a_story_of_little_is_a_page_too(show, measured):
    given = text_example(0, None, "positive", 0.8, words=[])
    browser = show(text_story([given], split=None, faithfulness=measured))
    assert browser.ask("document.getElementById('facts').innerText").split("\n")[7::2] == ["given by hand", "1"]
    assert browser.ask("document.querySelector('#true, #outcome')") is None
    browser.ask("document.querySelector('.map').focus()")
    browser.press("ArrowRight")
    assert browser.ask(COUNT) == "1 example"
    assert show(text_story([], faithfulness=measured)).ask(COUNT) == "No example matches."


def test_cards_are_made_as_they_are_needed(show):
    browser = show(text_story([text_example(i, "negative", "positive", 0.8) for i in range(300)]))
    before = len(browser.ask(IDS))
    assert before < 100
    browser.ask("window.scrollTo(0, document.body.scrollHeight)")
    browser.settle()
    assert len(browser.ask(IDS)) > before
    browser.ask("window.dispatchEvent(new Event('beforeprint'))")
    assert 200 <= len(browser.ask(IDS)) < 300


def test_heads_left_out_are_told(show, monkeypatch):
    monkeypatch.setattr(page, "HEADS_BUDGET", 50)
    ramp = [1.0] * 6
    browser = show(text_story([text_example(i, None, "positive", 0.8, heads=[[ramp]]) for i in range(5)]))
    assert "for the first 2 of 5 examples" in browser.ask("document.querySelector('#examples .note').textContent")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_everything_has_a_name_and_fits(show, width, kind):
    stories = {"text": text_story(mixed_examples(), faithfulness=faithfulness()), "image": image_story()}
    browser = show(stories[kind], width=width, height=800)
    browser.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.settle()
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "checkbox", "combobox", "searchbox", "link", "image", "img", "region", "navigation"}
    named = [node for node in nodes if node.get("role", {}).get("value") in roles and not node["ignored"]]
    assert len(named) > 10
    assert [node["role"]["value"] for node in named if not node.get("name", {}).get("value")] == []
    levels = browser.ask(
        "[...document.querySelectorAll('h1, h2, h3, h4')].filter(e => e.checkVisibility()).map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    for landmark in ("main", "header", "footer"):
        assert browser.ask(f"document.querySelectorAll('body > {landmark}').length") == 1
    assert browser.ask("document.documentElement.lang") == "en"
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == browser.ask(
        "document.querySelectorAll('[id]').length"
    )
