import pytest


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """Sources are named as a user would, relative to where they lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ATTNPRED_DATA", raising=False)
