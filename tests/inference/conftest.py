"""Runs that tests of answering share: one of texts, one of images."""

import pytest

from attnpred.cli import main
from attnpred.runs.run import Run
from tests.data.made import make_text_source

QUICK = ["trainer.max_steps=2", "trainer.precision=32-true", "trainer.limit_batches=2", "logger=none"]
SMALL = ["model.width=16", "model.depth=1", "model.heads=2"]


def trained(directory, *options) -> Run:
    place = [f"output_dir={directory}", f"data.cache_dir={directory / 'cache'}"]
    assert main(["train", "model=transformer", *SMALL, *place, *QUICK, *options]) == 0
    return Run.find(str(next(directory.rglob("run.json")).parent))


@pytest.fixture(scope="session")
def text_run(tmp_path_factory) -> Run:
    directory = tmp_path_factory.mktemp("text_run")
    source = make_text_source(directory / "imdb", {"train": 1500, "test": 400})
    return trained(
        directory,
        "data=imdb",
        f"data.source={source}",
        "data.tokenizer.vocab_size=200",
        "data.max_length=24",
        "data.eval_batch_size=16",
    )


@pytest.fixture(scope="session")
def image_run(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("image_run"), "data=digits")
