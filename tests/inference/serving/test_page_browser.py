"""The page to try a model in a browser; skipped where there is none."""

import base64
import io

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from attnpred.inference.serving.app import Service
from attnpred.inference.serving.models import Model
from attnpred.inference.serving.options import Options, Served
from tests.explain.browser import executable
from tests.inference.serving.conftest import Fake, listening

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
HOSTILE = "<img src=x onerror=alert(1)> a lovely film"
ASKED = "document.getElementById('state').textContent.startsWith('Answered')"


class Address(str):
    """Opened by the browser as a file's path is."""

    def as_uri(self):
        return str(self)


@pytest.fixture(scope="module")
def served(text_run, image_run):
    models = [
        Model(Served(name="films", version="1", path=text_run.path), "auto"),
        Model(Served(name="digits", version="1", path=image_run.path), "auto"),
    ]
    with listening(Service(Options(served=[one.served for one in models]), models, log=False)) as (port, _):
        yield Address(f"http://127.0.0.1:{port}/")


@pytest.fixture
def page(browser, served):
    def open_page(**how):
        browser.open(served, **how)
        return browser

    yield open_page
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith((served, "data:image/"))] == []


def until(browser, condition):
    browser.ask(
        "new Promise((done, fail) => { const end = Date.now() + 30000; (function look() {"
        f" if ({condition}) done(); else if (Date.now() > end) fail(document.body.innerText);"
        " else setTimeout(look, 20); })(); })"
    )


def typed(browser, text):
    browser.ask(f"document.querySelector('textarea').value = {text!r}; document.querySelector('textarea').focus()")


def test_a_text_is_typed_and_its_words_are_shaded(page):
    browser = page()
    typed(browser, HOSTILE)
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2)
    until(browser, ASKED)
    words = browser.ask("[...document.querySelectorAll('.word')].map(w => w.textContent)")
    assert words == HOSTILE.split()
    assert browser.ask("document.querySelectorAll('main img').length") == 0
    assert browser.ask("[...document.querySelectorAll('.word')].some(w => w.className.includes('importance-8'))")
    assert browser.ask("document.getElementById('answer').textContent").startswith(("good", "bad"))
    assert browser.ask("document.querySelectorAll('#chances li').length") == 2


def test_another_explainer_is_chosen(page):
    browser = page()
    typed(browser, "a lovely film")
    browser.ask(
        "(() => { const e = document.getElementById('explainer');"
        " e.value = [...e.options].findIndex(o => o.textContent === 'integrated_gradients');"
        " document.getElementById('go').click(); })()"
    )
    until(browser, ASKED)
    shades = browser.ask("[...document.querySelectorAll('.word')].map(w => w.classList[1] ?? '')")
    assert any(shade.startswith(("for-", "against-")) for shade in shades)
    browser.ask(
        "(() => { const e = document.getElementById('explainer');"
        " e.value = [...e.options].findIndex(o => o.textContent === 'gradcam');"
        " document.getElementById('go').click(); })()"
    )
    until(browser, "document.getElementById('state').className === 'failed'")
    assert "gradcam" in browser.ask("document.getElementById('state').textContent")
    browser.complaints.clear()  # the browser notes an answer that is an error


def test_a_picture_is_dropped_and_lies_under_its_map(page):
    from PIL import Image

    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "PNG")
    content = base64.b64encode(file.getvalue()).decode()
    browser = page()
    browser.ask(
        "(() => { const m = document.getElementById('model'); m.value = 1; m.dispatchEvent(new Event('change'));"
        f" const bytes = Uint8Array.from(atob({content!r}), c => c.charCodeAt(0));"
        " const data = new DataTransfer(); data.items.add(new File([bytes], 'a.png', {type: 'image/png'}));"
        " document.querySelector('.drop').dispatchEvent(new DragEvent('drop', {dataTransfer: data})); })()"
    )
    until(browser, ASKED)
    assert browser.ask("document.querySelectorAll('.picture').length") == 2
    drawn = (
        "(() => { const c = document.querySelector('.picture canvas');"
        " return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].some(v => v > 200); })()"
    )
    assert browser.ask(drawn)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_can_be_read(page, scheme):
    browser = page(prefers_color_scheme=scheme)
    look = "getComputedStyle(document.body)"
    ground, ink = (
        sum(map(int, browser.ask(f"{look}.{key}").removeprefix("rgb(").removesuffix(")").split(",")))
        for key in ("backgroundColor", "color")
    )
    assert (ground > ink) == (scheme == "light")


def test_nothing_is_wider_than_a_phone_and_all_is_reached_by_the_keyboard(page):
    browser = page(width=360, height=700)
    typed(browser, " ".join(["unbelievablylongwordthatgoeson" * 3] * 4))
    browser.ask("document.getElementById('go').click()")
    until(browser, ASKED)
    assert browser.ask("document.documentElement.scrollWidth") <= 360
    reached = []
    browser.ask("document.activeElement.blur()")
    for _ in range(9):
        browser.press("Tab")
        reached.append(browser.ask("document.activeElement.id || document.activeElement.tagName"))
    assert {"theme", "model", "explainer", "TEXTAREA", "go"} <= set(reached)


def test_a_key_is_asked_for_and_sent(browser):
    import hashlib

    fake = Fake()
    options = Options(served=[fake.served], keys={"alice": hashlib.sha256(b"k" * 20).digest()})
    with listening(Service(options, [fake], log=False)) as (port, _):
        browser.open(Address(f"http://127.0.0.1:{port}/"))
        typed(browser, "abc")
        browser.ask("document.getElementById('go').click()")
        until(browser, "document.getElementById('state').className === 'failed'")
        browser.ask("document.getElementById('key').value = 'k'.repeat(20); document.getElementById('go').click()")
        until(browser, "document.getElementById('answer').textContent.startsWith('cba')")
