"""The page without a browser: what is in it, how large it is, and that no text breaks out of its place."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from attnpred.explain import page
from attnpred.explain.page import STYLES, _packed, render
from attnpred.pages.page import assets
from tests.explain.stories import EXPLAINERS, faithfulness, image_story, mixed_examples, text_example, text_story

HOSTILE = [
    "<script>alert(1)</script>",
    "</script x",
    "<!--",
    '"><img src=x onerror=alert(1)>',
    "'&amp;",
    "\u202ereversed",
    "\u2028",
    "{{policy}}",
    "x\ud800",
    "\0",
]


class Elements(HTMLParser):
    """Every element, and the text inside those that hold data, style or script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.inner, self.policy = [], [], ""
        self._open = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("script", "style"):
            self._open = tag
            self.inner.append("")
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]

    def handle_data(self, data):
        if self._open:
            self.inner[-1] += data

    def handle_endtag(self, tag):
        if tag == self._open:
            self._open = None


def story_in(text: str):
    return json.loads(re.search(r'<script type="application/json" id="story">(.*?)</script>', text, re.S)[1])


def test_hostile_text_stays_text():
    tame = render(text_story([text_example(0, "negative", "positive", 0.8)]))
    explainers = [{**EXPLAINERS[0], "name": HOSTILE[3], "about": HOSTILE[0]}]
    example = text_example(0, HOSTILE[1], HOSTILE[3], 0.8, words=HOSTILE, names=[HOSTILE[3]])
    wild = render(text_story([example], title=HOSTILE[0] + HOSTILE[7], explainers=explainers, classes=[HOSTILE[3]]))
    assert Elements(wild).tags == Elements(tame).tags
    assert story_in(wild)["examples"][0]["words"] == [*HOSTILE[:-2], "x\ufffd", "\0"]
    assert "\u2028" not in wild
    wild.encode()  # a file can hold it


def test_policy_allows_nothing_but_what_is_in_the_page():
    found = Elements(render(text_story(mixed_examples(), faithfulness=faithfulness())))
    policy = dict(rule.split(" ", 1) for rule in found.policy.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    style, _, script = found.inner
    for tag, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


def test_mistakes_come_first_and_then_the_surest():
    assert [example["id"] for example in story_in(render(text_story(mixed_examples())))["examples"]] == [4, 2, 3, 5, 1]


@pytest.mark.parametrize(("kind", "error"), [(np.int16, 2e-5), (np.int8, 4e-3)])
def test_packed_numbers_come_back(kind, error):
    values = np.random.default_rng(0).normal(size=301)
    top, text = _packed(values.tolist(), kind)
    back = np.frombuffer(base64.b64decode(text), np.dtype(kind).newbyteorder("<")) / np.iinfo(kind).max * top
    assert np.abs(back - values).max() < (error + 5e-4) * np.abs(values).max()


def test_no_number_counts_as_nothing():
    top, text = _packed([float("nan"), float("inf"), 0.5], np.int16)
    assert top == 0.5
    assert np.frombuffer(base64.b64decode(text), "<i2").tolist() == [0, 0, 32767]
    assert _packed([0.0, 0.0], np.int16)[0] == 0
    broken = text_story([text_example(0, None, "positive", float("nan"))], faithfulness=faithfulness())
    assert story_in(render(broken))["faithfulness"]["scores"]["gradient"]["sufficiency"] == [0.3, 0.25, None]


def test_thousand_long_reviews_stay_small():
    draw = np.random.default_rng(0)
    words = [f"word{i}" for i in range(230)]
    names = [f"explainer{i}" for i in range(6)]
    examples = [text_example(i, "negative", "positive", 0.8, words=words, names=names) for i in range(1000)]
    for example in examples:
        example["maps"] = {name: draw.random(230).tolist() for name in names}
        example["heads"] = [[example["maps"][names[0]]] * 4] * 4
    explainers = [{"name": name, "signed": False, "about": ""} for name in names]
    text = render(text_story(examples, explainers=explainers))
    assert len(text.encode()) < 20e6


def test_heads_beyond_the_budget_are_left_out_and_counted(monkeypatch):
    examples = mixed_examples()
    for example in examples:
        example["heads"] = [[example["maps"]["attention"]] * 2] * 2
    monkeypatch.setattr(page, "HEADS_BUDGET", 100)  # one example of six words needs 80
    story = story_in(render(text_story(examples)))
    assert ["heads" in example for example in story["examples"]] == [True, False, False, False, False]
    assert (story["headsKept"], story["headsGiven"]) == (1, 5)


def test_an_answer_that_is_no_class_has_neither_probabilities_nor_a_list():
    examples = [text_example(i, "3.5", f"{i}.25", 0.0) for i in range(3)]
    for place, example in enumerate(examples):
        example |= {"probabilities": {}, "confidence": None, "wrong": place == 1, "order": float(place)}
    story = story_in(render(text_story(examples, classes=[])))
    assert [example["id"] for example in story["examples"]] == [1, 2, 0]
    assert story["listed"] is False
    assert all(example["confidence"] is None and example["probabilities"] == [] for example in story["examples"])
    assert [story["classes"][example["predicted"]] for example in story["examples"]] == ["1.25", "2.25", "0.25"]


def test_of_many_classes_only_the_likeliest_and_the_named_are_kept():
    classes = [f"class {i}" for i in range(100)]
    example = text_example(0, "class 99", "class 0", 0.5)
    example["probabilities"] = {name: 1.0 / (i + 2) for i, name in enumerate(classes)}
    story = story_in(render(text_story([example], classes=classes)))
    assert [index for index, _ in story["examples"][0]["probabilities"]] == [0, 1, 2, 3, 4, 99]


@pytest.mark.parametrize("address", ["https://example.org/x.png", "data:image/svg+xml;base64,AAAA", 'x"><b>'])
def test_image_from_elsewhere_is_refused(address):
    with pytest.raises(ValueError, match="example 7: an image must be"):
        render(image_story(image=address))


def test_map_of_another_length_is_refused():
    with pytest.raises(ValueError, match="the map attention has 3 numbers for 16 parts"):
        render(image_story(maps={"attention": [1.0, 2.0, 3.0]}))


def colours():
    css = assets("attnpred.explain", *STYLES)
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", css)
    return {name: (light, dark) for name, light, dark in pairs}


def contrast(one: str, other: str) -> float:
    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_every_colour(theme):
    known = {name: pair[theme] for name, pair in colours().items()}
    shades = [f"{hue}-{level}" for hue in ("importance", "for", "against") for level in range(1, 9)]
    grounds = ["page", "card"]
    texts = ["ink", "quiet", "accent", "wrong", "right", *(f"line-{i}" for i in range(8))]
    pairs = [("ink", shade) for shade in shades] + [(text, ground) for text in texts for ground in grounds]
    pairs += [("wrong", "wrong-soft"), ("card", "ink")]
    assert {
        pair: contrast(known[pair[0]], known[pair[1]]) for pair in pairs if contrast(*map(known.get, pair)) < 4.5
    } == {}
    # the border of a control is no text: 3 is enough
    assert min(contrast(known["edge"], known[ground]) for ground in grounds) >= 3
