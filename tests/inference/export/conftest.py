from pathlib import Path

import pytest

from attnpred.cli import main
from attnpred.inference.export.folder import Asked, export
from attnpred.runs.run import Run
from tests.data.made import make_text_source


def train(directory: Path, *overrides: str) -> Run:
    """A run of a few steps."""
    quick = ["trainer.max_steps=3", "trainer.precision=32-true", "trainer.limit_batches=2", "logger=none"]
    place = [f"output_dir={directory}", f"data.cache_dir={directory / 'cache'}", "data.eval_batch_size=4"]
    assert main(["train", *place, *quick, *overrides]) == 0
    return Run.find(str(next(directory.rglob("run.json")).parent))


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    directory = tmp_path_factory.mktemp("runs")
    source = make_text_source(directory / "imdb")
    small = ["model.width=16", "model.depth=1", "model.heads=2", "data.tokenizer.vocab_size=200", "data.max_length=24"]
    return train(
        directory, "model=transformer", "data=imdb", f"data.source={source}", "trainer.attention_examples=8", *small
    )


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory) -> Path:
    """The folder of the run as ONNX."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export(run, run.config(), folder, Asked(examples=12))
    return folder
