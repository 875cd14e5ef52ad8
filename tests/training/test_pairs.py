"""The whole path of every pair on small made data: train, look into the run, move it, evaluate, predict."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from attnpred.cli import main
from tests.data.made import make_image_source, make_text_source, text_rows
from tests.models.made import make_encoder

TINY = {
    "resnet_attention": ["model.width=8", "model.depth=1"],
    "transformer": ["model.width=32", "model.depth=2"],
    "bert": [],
    "vision": ["model.source=torchvision/shufflenet_v2_x0_5", "model.pretrained=false", "model.resize=32"],
}
PAIRS = [
    ("resnet_attention", "digits"),
    ("transformer", "digits"),
    ("resnet_attention", "evidence_image"),
    ("transformer", "evidence_text"),
    ("resnet_attention", "cifar10"),
    ("transformer", "cifar10"),
    ("transformer", "imdb"),
    ("transformer", "sst2"),
    ("bert", "imdb"),
    ("bert", "sst2"),
    ("vision", "digits"),
    ("vision", "cifar10"),
]
TEXTS = ("evidence_text", "imdb", "sst2")
QUICK = (
    ("resnet_attention", "digits"),
    ("transformer", "imdb"),
    ("bert", "sst2"),
    ("vision", "digits"),
)  # one of each model


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Sources in the hub's layout below one root, a tiny encoder among them, and a cache of their own."""
    root = tmp_path_factory.mktemp("root")
    make_text_source(root / "imdb")
    sentences = {"train": text_rows(120), "validation": text_rows(40, seed=1), "test": (["unlabelled"] * 8, [-1] * 8)}
    make_text_source(root / "glue", rows=sentences, subset="sst2", columns=("sentence", "label"))
    make_image_source(root / "cifar10")
    make_encoder(root / "bert-base-uncased")
    return root


@pytest.fixture
def train(home, tmp_path, monkeypatch, capsys):
    """Runs the launch command with the made data and returns the run directory it prints."""
    monkeypatch.setenv("ATTNPRED_DATA", str(home))

    def run(*overrides: str) -> Path:
        shared = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={home / 'cache'}", "trainer.max_epochs=2"]
        assert main(["train", *shared, *overrides]) == 0
        return Path(capsys.readouterr().out.splitlines()[-1])

    return run


def tiny(model: str, data: str) -> list[str]:
    small = ["data.tokenizer.vocab_size=200"] if data in TEXTS else []
    small += ["data.rows=200"] if data.startswith("evidence_") else []
    return [f"model={model}", f"data={data}", "data.batch_size=8", "trainer.limit_batches=6", *TINY[model], *small]


@pytest.mark.parametrize(
    ("model", "data"),
    [pytest.param(*pair, id="-".join(pair), marks=() if pair in QUICK else pytest.mark.slow) for pair in PAIRS],
)
def test_pair_trains_evaluates_and_predicts_from_a_moved_directory(
    model, data, train, home, tmp_path, monkeypatch, capsys
):
    run = train(*tiny(model, data))
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"val", "test", "parameters", "examples_per_second", "peak_memory_gib", "seconds", "steps"} <= set(metrics)
    assert {"accuracy", "f1", "loss", "calibration_error", "classes", "confusion"} <= set(metrics["test"])
    for name in ("best.ckpt", "last.ckpt"):
        state = torch.load(run / "checkpoints" / name, weights_only=True)["state_dict"]
        assert all(key.startswith("model.") for key in state)
    kept = {p.name for p in (run / "checkpoints").iterdir()}
    assert (
        {"best.ckpt", "last.ckpt", "checksums.json"}
        <= kept
        <= {"best.ckpt", "last.ckpt", "before.ckpt", "checksums.json"}
    )

    moved = Path(shutil.move(run, tmp_path / "elsewhere"))
    assert main(["evaluate", str(moved), "trainer.limit_batches=6"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    for name in ("accuracy", "f1", "loss", "calibration_error"):
        assert evaluated[name] == pytest.approx(metrics["test"][name], abs=1e-6)
    assert evaluated["confusion"] == metrics["test"]["confusion"]

    # from here on neither training data nor pretrained weights are there
    monkeypatch.setenv("ATTNPRED_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if data in TEXTS:
        given = "a good and truly unbelievable film"
        assert main(["predict", str(moved), given]) == 0
        predicted = json.loads(capsys.readouterr().out)
        assert predicted["words"] == given.split()
        assert sum(predicted["attention"]) == pytest.approx(1, abs=1e-4)
    else:
        given = str(tmp_path / "image.png")
        Image.new("RGB", (20, 30), (200, 30, 90)).save(given)
        assert main(["predict", str(moved), given]) == 0
        predicted = json.loads(capsys.readouterr().out)
        height, width = predicted["size"]
        assert [len(row) for row in predicted["attention"]] == [width] * height
        assert sum(map(sum, predicted["attention"])) == pytest.approx(1, abs=1e-4)
    assert predicted["input"] == given
    assert sum(predicted["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert predicted["probabilities"][predicted["label"]] == max(predicted["probabilities"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data", "overrides"),
    [
        ("transformer", "imdb", ["optimizer.lr=3e-3"]),
        # the made images tell their label by a place, which flips and shifts would change
        ("resnet_attention", "cifar10", ["optimizer.lr=3e-2", "data.augment.flip=false", "data.augment.crop=0"]),
        ("bert", "sst2", ["optimizer.lr=3e-3"]),
    ],
)
def test_what_can_be_learned_is_learned(model, data, overrides, train):
    run = train(*tiny(model, data), "trainer.limit_batches=null", "trainer.max_epochs=15", *overrides)
    assert json.loads((run / "metrics.json").read_text())["test"]["accuracy"] > 0.9
