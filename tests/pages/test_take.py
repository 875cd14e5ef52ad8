"""Figures and tables of a page as files, as a browser saves them."""

import csv
import io
import time
from xml.etree import ElementTree

import pytest
from PIL import Image

from attnpred.explain.page import render
from tests.explain.browser import executable
from tests.explain.stories import faithfulness, image_story, text_example, text_story

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def saved(opened, tmp_path):
    """Saves one thing of a page by its button and gives the file's content."""

    def save(story, within: str, button: str, **how) -> bytes:
        browser = opened(render(story), **how)
        folder = tmp_path / "saved"
        browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        bar = f"document.querySelector({within!r}).closest('.scroll, .panel, figure').parentElement"
        browser.ask(f"[...{bar}.querySelectorAll('.take button')].find(b => b.textContent === {button!r}).click()")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [file for file in folder.glob("*") if file.suffix != ".crdownload"]
            if found and found[0].stat().st_size:
                return found[0].read_bytes()
            time.sleep(0.02)
        raise AssertionError("nothing was saved")

    return save


def measured_story(**more):
    return text_story([text_example(0, "negative", "positive", 0.8, **more)], faithfulness=faithfulness())


def test_a_table_becomes_csv(saved):
    rows = list(csv.reader(io.StringIO(saved(measured_story(), "#faithfulness table", "CSV").decode())))
    assert rows[0][:2] == ["Explainer", "Comprehensiveness higher is better"]
    assert rows[1][:2] == ["attention", "0.500 0.450 to 0.550"]
    assert rows[-1][0] == "random (the floor)"


def test_a_table_becomes_latex(saved):
    text = saved(measured_story(), "#faithfulness table", "LaTeX").decode()
    assert text.startswith("\\begin{tabular}{lrrrr}\nExplainer & Comprehensiveness")
    assert text.count("\\\\\n") == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_becomes_svg_in_light_colours_with_its_names(saved, scheme):
    content = saved(measured_story(), ".chart", "SVG", prefers_color_scheme=scheme)
    root = ElementTree.fromstring(content)
    assert not root.findall(".//*[@class]")
    assert {text.text for text in root.iter(f"{SVG}text")} >= {"attention", "gradient", "random", "50 %"}
    strokes = [line.get("stroke") for line in root.iter(f"{SVG}polyline")]
    assert len(set(strokes)) == 3
    assert strokes[0] == "rgb(37, 94, 188)"  # the light theme's first line


def test_words_become_latex_and_svg(saved):
    words = ["50%", "good_film", "{never}", "a\\b", "drags", "&"]
    latex = saved(measured_story(words=words), ".map", "LaTeX").decode()
    assert "\\colorbox[RGB]{" in latex
    assert "{\\strut 50\\%}" in latex
    assert "\\strut \\{never\\}" in latex
    assert "a\\textbackslash{}b" in latex


def test_words_become_svg(saved):
    root = ElementTree.fromstring(saved(measured_story(), ".map", "SVG"))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["a", "fine", "film", "that", "never", "drags"]


def test_a_map_becomes_its_numbers(saved):
    formula = ["=1+1", "fine", "film", "that", "never", "drags"]
    rows = list(csv.reader(io.StringIO(saved(measured_story(words=formula), ".map", "CSV").decode())))
    assert rows[0] == ["part", "importance"]
    assert rows[1][0] == "'=1+1"  # no formula for whoever opens it
    assert [row[0] for row in rows[2:]] == formula[1:]
    assert [float(row[1]) for row in rows[1:]] == pytest.approx([1, 2, 3, 4, 5, 6], rel=1e-3)


def test_an_image_under_its_map_becomes_png(saved):
    picture = Image.open(io.BytesIO(saved(image_story(), ".map", "PNG")))
    assert picture.size == (576, 576)  # three pixels for each that it has on the page
    assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 16
