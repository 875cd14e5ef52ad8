import pytest

from attnpred.cli import main
from attnpred.runs.run import Run
from tests.models.conftest import _bert_is_tiny, encoder  # noqa: F401


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The directory of a run on digits."""
    directory = tmp_path_factory.mktemp("runs")
    small = ["data=digits", "model.width=8", "model.depth=1", f"data.cache_dir={directory / 'cache'}"]
    quick = ["trainer.max_steps=20", "trainer.precision=32-true", "logger=none"]
    assert main(["train", f"output_dir={directory}", *small, *quick]) == 0
    return Run.find(str(next(directory.rglob("run.json")).parent)).path
