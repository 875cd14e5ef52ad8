"""The page of a look at data as a browser shows it; skipped where there is none."""

import pytest

from attnpred.survey.page import render
from attnpred.survey.survey import survey
from attnpred.survey.understood import understand
from tests.data.made import text_rows
from tests.explain.browser import executable

pytestmark = pytest.mark.skipif(executable() is None, reason="no chromium on this machine")
CELLS = "[...document.querySelectorAll('#{} tbody tr')].map(r => r.children[{}].textContent)"


@pytest.mark.slow
def test_everything_is_shown_and_nothing_that_is_named_becomes_an_element(opened, tmp_path):
    texts, labels = text_rows(60)
    names = ["<b>good</b>" if label else "bad" for label in labels]
    texts[9] = "<script>alert(1)</script> &amp; more"
    lines = "".join(f"{t},{n}\n" for t, n in zip(texts, names, strict=True))
    (tmp_path / "a.csv").write_text("text,label\n" + lines)
    story = survey(understand(["a.csv"]))
    story["doubts"] = {"runs": ["one"], "rows": 60, "doubted": 1, "shown": []}
    browser = opened(render(story))
    assert browser.ask(CELLS.format("columns", 0)) == ["text", "label"]
    assert browser.ask(CELLS.format("parts", 0)) == ["rows", "<b>good</b>", "bad"]
    assert browser.ask(CELLS.format("odd", 0)) == ["1 row with HTML"]
    assert browser.ask("document.querySelectorAll('main b, main script').length") == 0
    assert "attnpred train" in browser.ask("document.getElementById('next').textContent")
    assert browser.ask("document.getElementById('doubts').innerText").startswith("Labels in doubt")
