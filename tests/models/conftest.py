import pytest

from tests.models.made import SMALL, make_encoder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return make_encoder(tmp_path_factory.mktemp("hub") / "tiny-bert")


@pytest.fixture(autouse=True)
def _bert_is_tiny(encoder, monkeypatch):
    monkeypatch.setitem(SMALL["bert"], "source", str(encoder))
