"""The site of `make docs`: built without a warning, searchable, and without a request to elsewhere."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.prose import DOCS, PAGES, REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="the extra docs is not installed")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", str(DOCS), str(place)]
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    told = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return place


def test_every_page_is_there_and_can_be_searched(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    for page in PAGES:
        if page.parent == DOCS:
            assert (site / f"{page.stem}.html").is_file()
            assert f'"{page.stem}"' in index


def test_no_page_asks_another_machine_for_anything(site):
    for page in site.rglob("*.html"):
        loads = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)\"", page.read_text("utf-8"))
        assert not loads, page.name
