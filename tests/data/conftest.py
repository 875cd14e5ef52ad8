from pathlib import Path

import pytest

from attnpred.modalities.text.reader import TextReader
from tests.data.made import make_image_source, make_text_source, text_config, text_data


@pytest.fixture(autouse=True)
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNPRED_DATA", raising=False)


@pytest.fixture(scope="session")
def text_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_text_source(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def image_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image_source(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data that tests may share, since entries are named by what they were made from."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def reader(text_source, cache_dir) -> TextReader:
    return text_data(text_config(text_source, cache_dir)).reader
