"""The page on which a model is tried: type a text or drop a picture, and see the answer and what it looked at."""

import re
from html import unescape
from typing import Any

from attnpred.pages.page import fill

STYLES = ("colours.css", "page.css", "pieces.css", "try.css")
SCRIPTS = ("dom.js", "try.js")


def render(models: list[dict[str, Any]], keys: bool) -> tuple[str, str]:
    """The page, and the policy that it is sent with, too; `keys`: whether a key must be given."""
    story = {"models": models, "keys": keys}
    title = f"{models[0]['name']}: try it" if models else "attnpred"
    page = fill("attnpred.inference.serving", "try.html", title, STYLES, SCRIPTS, story, connect=True)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    return page, unescape(policy[1])
