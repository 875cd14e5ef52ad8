"""Names and words from strangers are shown as what they are: in pages, notebooks, pictures and on the terminal."""

import html.parser
import json

import pytest

import attnpred
from attnpred.cli import main
from tests.safety.made import edit_json

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=http://example.org/x onerror=alert(2)>",
)
SEQUENCE = "\x1b]0;owned\x07\x9b31m"


class Seen(html.parser.HTMLParser):
    """The elements of a page, and what their attributes lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


@pytest.fixture
def named_badly(text_run):
    """A run whose classes have a stranger's names."""
    edit_json(text_run / "spec.json", lambda values: values["target"].update(classes=list(HOSTILE)))
    return text_run


def test_a_page_makes_no_element_of_names_and_words(named_badly, capsys):
    assert main(["explain", str(named_badly), *HOSTILE, "&lt;b&gt; <b>", "\u2028\u2029 </style> <!-- "]) == 0
    page = (named_badly / "explanations" / "inputs.html").read_text()
    seen = Seen(page)
    assert [tag for tag, _ in seen.elements].count("script") == 2  # the story, and the page's own
    assert {tag for tag, _ in seen.elements} & {"img", "iframe", "object", "embed", "link", "base", "form"} <= {"form"}
    for _, attributes in seen.elements:
        assert not any(name.startswith("on") for name in attributes)
        for value in attributes.values():
            assert "example.org" not in (value or "")
    assert "default-src 'none'" in page
    assert page.count("alert(1)") > 0  # as text
    assert "</script><script>alert" not in page


def test_a_runs_name_is_text_too(runs, tmp_path, capsys):
    hostile = tmp_path / "<img src=x onerror=alert(1)>"
    runs.copy("text", tmp_path).rename(hostile)
    assert main(["explain", str(hostile), "a fine film", "--output", str(tmp_path / "page.html")]) == 0
    seen = Seen((tmp_path / "page.html").read_text())
    assert "img" not in [tag for tag, _ in seen.elements]


def test_a_notebook_draws_them_as_text(named_badly):
    page = attnpred.load(str(named_badly)).predict(*HOSTILE)._repr_html_()
    assert {tag for tag, _ in Seen(page).elements} <= {"p", "b", "span", "br"}


def test_a_notebook_draws_no_bomb(image_run, tmp_path, monkeypatch):
    from PIL import Image

    file = tmp_path / "x.png"
    Image.new("L", (8, 8), 3).save(file)
    answers = attnpred.load(str(image_run)).predict(str(file))
    assert "<img " in answers._repr_html_()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="pixels"):
        answers._repr_html_()


def test_pictures_of_them_are_drawn(named_badly, capsys):
    assert main(["explain", str(named_badly), *HOSTILE, SEQUENCE, "--tensorboard"]) == 0
    assert list(named_badly.glob("events.out.tfevents.*"))


def test_a_terminal_is_not_steered(text_run, runs, capfd):
    """By classes that the specification names, which a warning tells, a table shows and JSON holds."""
    names = [SEQUENCE + "bad", SEQUENCE + "good\r\n"]
    edit_json(text_run / "spec.json", lambda values: values["target"].update(classes=names))
    assert main(["evaluate", str(text_run)]) == 0
    out, err = capfd.readouterr()
    assert "are taken, in this order, for the model's" in err
    assert all(line.isprintable() for line in err.split("\n"))
    assert "\x1b" not in out
    assert json.loads(out)["classes"][0]["name"] == names[0]
    assert main(["predict", str(text_run), SEQUENCE]) == 0
    out, _ = capfd.readouterr()
    assert "\x1b" not in out
    assert json.loads(out)["input"] == SEQUENCE
