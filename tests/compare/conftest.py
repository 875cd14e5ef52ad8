import pytest

from tests.compare.made import make_run


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """The index is kept in the user's cache."""
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def grid(tmp_path):
    """Six groups of three seeds: the wider the better, and a rate that is best in the middle."""
    for width in (8, 16):
        for lr, gain in ((0.001, 0.0), (0.01, 0.2), (0.1, 0.1)):
            for seed in range(3):
                value = 0.5 + gain + width / 100 + seed / 100 + seed * lr / 10
                options = {"model.width": width, "optimizer.lr": lr}
                make_run(tmp_path / "runs" / f"{width}-{lr}-{seed}", options, seed=seed, value=value, points=4)
    return tmp_path / "runs"
