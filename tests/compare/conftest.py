import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """The index is kept in the user's cache."""
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(place))
    return place
