"""Backbones of every kind with random weights, from training to explanations, by the commands that a user gives."""

import json
import math

import pytest
import torch

from attnpred.cli import main
from attnpred.training.learner import Learner
from tests.data.made import image_rows, png
from tests.died import Died, check_same, dies_at, the_run, train
from tests.models.vision_made import DESCRIBED

SMALL = [
    *("data=images", "model=vision", "model.pretrained=false", "data.size=32", "data.augment.crop=2"),
    *("data.batch_size=12", "data.eval_batch_size=16", "trainer.max_epochs=2", "trainer.precision=32-true"),
    *("optimizer.lr=1e-3", "trainer.attention_examples=8", "trainer.log_every_steps=1", "trainer.accelerator=cpu"),
    *("logger=csv", "checkpoint.every_steps=1", "checkpoint.every_minutes=null", "resume=auto"),
]
# a source each, with options and the explainers that have something to follow in it
MAPS, PATCHES = ["gradcam"], ["rollout", "grad_attention"]
CASES = {
    "timm": (["model.source=timm/test_vit", "model.resize=64", "model.pooling=cls"], PATCHES),
    "torchvision": (["model.source=torchvision/shufflenet_v2_x0_5", "model.resize=64"], MAPS),
    "transformers": (["model.source=vit", "model.dropout=0.1"], PATCHES),
}
EVERYWHERE = ["attention", "input_x_gradient", "integrated_gradients", "occlusion", "attnlrp", "random"]


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """The words of a command, and the explainers that fit."""
    if request.param == "timm":
        pytest.importorskip("timm", reason="the timm extra is not installed")
    place = tmp_path_factory.mktemp("data")
    for number, (image, label) in enumerate(zip(*image_rows(60, size=(24, 20)), strict=True)):
        folder = place / "photos" / "ab"[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02}.png").write_bytes(png(image))
    options, explainers = CASES[request.param]
    if request.param == "transformers":
        DESCRIBED["vit"].save_pretrained(place / "vit")
        options = [f"model.source={place / 'vit'}", *options[1:]]
    own = [f"data.source={place / 'photos'}", f"data.cache_dir={place / 'cache'}", "data.test_fraction=0.2"]
    return [*SMALL, *options, *own], [*EVERYWHERE, *explainers], sorted((place / "photos/a").iterdir())[0]


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """A run that was left alone."""
    return train(tmp_path_factory.mktemp("whole"), case[0])


@pytest.mark.slow
def test_a_run_is_evaluated_as_it_was_tested_and_answers(case, whole, capsys):
    known = json.loads((whole.path / "metrics.json").read_text())
    assert {"comprehensiveness", "sufficiency"} <= known["attention"]["scores"]["attention"].keys()
    capsys.readouterr()
    assert main(["evaluate", str(whole.path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"] == pytest.approx(known["test"]["loss"], rel=1e-4)
    assert main(["predict", str(whole.path), str(case[2])]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["label"] in ("a", "b")
    assert torch.tensor(answer["attention"]).shape == (32, 32)


@pytest.mark.long
def test_every_explainer_is_measured(case, whole, capsys):
    capsys.readouterr()
    flags = [flag for name in case[1] for flag in ("--explainer", name)]
    assert main(["explain", str(whole.path), "--split", "test", "--limit", "4", "--json", *flags]) == 0
    story = json.loads(capsys.readouterr().out)
    assert len(story["examples"]) == 4
    for example in story["examples"]:
        rows, columns = example["grid"]
        assert {len(numbers) for numbers in example["maps"].values()} == {rows * columns}
    scores = story["faithfulness"]["scores"]
    assert set(case[1]) <= scores.keys()
    assert all(math.isfinite(number) for found in scores.values() for numbers in found.values() for number in numbers)


@pytest.mark.long
def test_it_goes_on_to_the_last_bit(case, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        dies_at(patched, Learner, "training_step", 5)
        with pytest.raises(Died):
            main(["train", *case[0], f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *case[0], f"output_dir={tmp_path / 'died'}"]) == 0
    check_same(the_run(tmp_path / "died"), whole)


@pytest.mark.long
def test_two_processes_measure_all_images_together(case, tmp_path, capsys):
    two = ["trainer=ddp_cpu", "trainer.devices=2", "trainer.attention_examples=0", "trainer.max_epochs=1"]
    options = [word for word in case[0] if not word.startswith(("trainer.acc", "trainer.max"))]
    run = train(tmp_path / "outputs", [*options, *two])
    known = json.loads((run.path / "metrics.json").read_text())
    assert known["test"]["examples"] == 12
    capsys.readouterr()
    assert main(["evaluate", str(run.path)]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == pytest.approx(known["test"]["loss"], rel=1e-3)


@pytest.mark.long
@pytest.mark.long
def test_a_sweep_tries_poolings_and_frozen_levels(case, tmp_path, capsys):
    swept = ["model.pooling=attention,mean", "model.frozen=[backbone]", "trainer.max_epochs=1", "resume=never"]
    own = ("model.pooling", "trainer.max", "resume", "checkpoint")
    options = [word for word in case[0] if not word.startswith(own)]
    assert main(["train", "-m", *options, *swept, f"output_dir={tmp_path}", "trainer.attention_examples=0"]) == 0
    runs = sorted(file.parent.name for file in tmp_path.rglob("metrics.json"))
    assert runs == ["0", "1"]
