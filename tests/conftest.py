"""What every test stands on."""

import os

import pytest

# Small tensors gain nothing from a second thread, and threads that wait for one another are slow on a busy machine.
# To be set before torch is imported; child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from tests.explain.browser import Browser

    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; whatever is done to it then, it must neither complain nor ask the network for anything."""

    def open_page(html, **how):
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        browser.open(file, **how)
        return browser

    yield open_page
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:///", "data:image/"))] == []


@pytest.fixture
def place(tmp_path):
    """Where a run writes."""
    return [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}"]
