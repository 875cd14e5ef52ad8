"""A survey as a page."""

from typing import Any

from attnpred.pages.page import fill
from attnpred.survey.told import said_of, span, sureness

STYLES = ("colours.css", "page.css", "pieces.css")
SCRIPTS = ("dom.js", "survey.js")


def render(story: dict[str, Any]) -> str:
    columns = [{**one, "span": span(one)} for one in story["columns"]]
    pairs = [{**one, "said": said_of(one)} for one in story["pairs"] if one["count"]]
    shown = {**story, "columns": columns, "pairs": pairs}
    if found := story.get("doubts"):
        shown["doubts"] = {**found, "shown": [{**one, "said": sureness(one)} for one in found["shown"]]}
    return fill("attnpred.survey", "survey.html", f"Data of {story['source']}", STYLES, SCRIPTS, shown)
