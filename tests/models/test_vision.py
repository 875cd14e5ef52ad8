import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.cli import main
from attnpred.config.compose import compose
from attnpred.errors import UserError
from attnpred.explain.base import make
from attnpred.models.backbone import positions
from attnpred.models.vision import Vision
from attnpred.training import optimizers
from tests.models.made import CLASSES, IMAGE, image_batch, make_task
from tests.models.vision_made import DESCRIBED, SPEC, vision

# grid on images of 64 by 32 pixels, and layers that attend from every patch to every patch
SOURCES = {
    "timm/resnet18": ((2, 1), 0),
    "timm/convnext_atto": ((2, 1), 0),
    "timm/efficientnet_lite0": ((2, 1), 0),
    "timm/mobilenetv3_small_050": ((2, 1), 0),
    "timm/regnetx_002": ((2, 1), 0),
    "timm/edgenext_xx_small": ((2, 1), 0),
    "timm/vit_tiny_patch16_224": ((4, 2), 12),
    "timm/deit_tiny_distilled_patch16_224": ((4, 2), 12),
    "timm/swin_tiny_patch4_window7_224": ((2, 1), 0),
    "timm/mixer_s32_224": ((2, 1), 0),
    "torchvision/resnet18": ((2, 1), 0),
    "torchvision/shufflenet_v2_x0_5": ((2, 1), 0),
    "torchvision/regnet_y_400mf": ((2, 1), 0),
    "vit": ((8, 4), 2),
    "dinov2": ((8, 4), 2),
    "swin": ((8, 4), 0),
    "convnextv2": ((2, 1), 0),
    "resnet": ((2, 1), 0),
}


@pytest.fixture
def place(tmp_path):
    """Where a source of the tests is: one of transformers is a directory that describes it."""

    def find(name):
        if name.startswith("timm/"):
            pytest.importorskip("timm", reason="the timm extra is not installed")
        if name not in DESCRIBED:
            return name
        DESCRIBED[name].save_pretrained(tmp_path / name)
        return str(tmp_path / name)

    return find


@pytest.mark.parametrize("name", SOURCES)
def test_architectures_of_every_kind_keep_the_contract(name, place, tmp_path):
    grid, layers = SOURCES[name]
    model, batch = vision(place(name)), image_batch(3, SPEC)
    with torch.no_grad():
        silent, asked = model(batch), model(batch, need_attention=True)
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-4, rtol=1e-4)
    assert asked.attention.grids == (grid,)
    assert asked.attention.importance.shape == (3, grid[0] * grid[1])
    torch.testing.assert_close(asked.attention.importance.sum(1), torch.ones(3))
    assert len(asked.attention.layers) == layers
    for weights in asked.attention.layers:
        assert weights.shape[2:] == (asked.attention.read.shape[1],) * 2
        torch.testing.assert_close(weights.float().sum(-1), torch.ones(weights.shape[:3]), atol=1e-4, rtol=1e-4)
    cross_entropy(model.train()(batch).answer, batch.targets["label"]).backward()
    assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    model.eval().save_assets(tmp_path)
    restored = Vision.restore(replace(model.config, source="gone"), model.spec, tmp_path).eval()
    restored.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(restored(batch).answer, model(batch).answer)


@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "timm/resnet18", "vit"])
def test_levels_go_from_the_pixels_to_the_answer(name, place):
    model = vision(place(name))
    depth = {"timm/vit_tiny_patch16_224": 12, "timm/resnet18": 8, "vit": 2}[name]
    assert len(model.levels()) == depth + 2
    config = compose(["model=vision", "data=digits", "optimizer.layer_decay=0.5", "optimizer.lr=1"])
    rates = {group["lr"] for group in optimizers.make(model, config.optimizer, fused=False).param_groups}
    assert rates == {0.5**level for level in range(depth + 2)}
    model.freeze(depth + 1, [])
    trained = {key.partition(".")[0] for key, p in model.named_parameters() if p.requires_grad}
    assert trained <= {"pool", "head", "backbone"}
    assert {"pool", "head"} <= trained


@pytest.mark.parametrize("pooling", ["attention", "cls", "mean"])
@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "vit"])
@torch.no_grad()
def test_importance_follows_the_pooling(name, pooling, place):
    model, batch = vision(place(name), pooling=pooling), image_batch(3, SPEC)
    attention = model(batch, need_attention=True).attention
    last = attention.layers[-1].float().mean(1)  # (batch, query, key)
    own = {
        "attention": attention.read[:, 1:],
        "cls": last[:, 0, 1:],
        "mean": last[:, 1:, 1:].mean(1),
    }[pooling]
    torch.testing.assert_close(attention.importance, own / own.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["timm/resnet18", "dinov2"])
@pytest.mark.parametrize(
    "explainer",
    ["attention", "rollout", "grad_attention", "input_x_gradient", "integrated_gradients", "occlusion", "attnlrp"],
)
def test_explainers_work_on_it(name, explainer, place):
    model, batch = vision(place(name)), image_batch(2, SPEC)
    found = make(explainer, model, make_task(CLASSES["image"]))(batch, torch.tensor([0, 1]))
    assert found.shape == (2, SOURCES[name][0][0] * SOURCES[name][0][1])
    assert found.isfinite().all()
    assert found.abs().sum() > 0


def test_gradcam_needs_a_map(place):
    task, batch = make_task(CLASSES["image"]), image_batch(2, SPEC)
    assert make("gradcam", vision(place("timm/convnext_atto")), task)(batch, torch.tensor([0, 1])).shape == (2, 2)
    with pytest.raises(UserError, match="no convolutional map"):
        make("gradcam", vision(place("vit")), task)


def test_pixels_are_normalised_as_the_backbone_was_trained(place):
    model, batch = vision(place("timm/vit_tiny_patch16_224")), image_batch(2, SPEC)  # trained with 0.5 and 0.5
    seen = []
    model.entrance().register_forward_hook(lambda module, given, found: seen.append(found))
    with torch.no_grad():
        model(batch)
    torch.testing.assert_close(seen[0], batch.input.pixels / 127.5 - 1, atol=1e-5, rtol=1e-5)


def test_grey_images_are_read(place):
    grey = replace(SPEC, channels=1, mean=(100.0,), std=(50.0,))
    model, batch = vision(place("timm/resnet18"), grey), image_batch(2, grey)
    assert model(batch).answer.shape == (2, 3)


def test_images_are_resized_by_their_smaller_side(place):
    model = vision(place("vit"), IMAGE, resize=32)  # of 16 by 8 pixels
    assert model(image_batch(2), need_attention=True).attention.grids == ((8, 4),)


@torch.no_grad()
def test_positions_are_interpolated(place):
    table = torch.cat((torch.ones(1, 1, 2), torch.linspace(0, 1, 16).view(1, 16, 1).expand(-1, -1, 2)), 1)
    assert positions(table, (4, 4)) is table
    fitted = positions(table, (8, 2))
    assert fitted.shape == (1, 17, 2)
    assert (fitted[0, :1] == 1).all()
    assert (fitted[0, 1:, 0].view(8, 2).diff(dim=0) > 0).all()


@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "timm/resnet18", "dinov2", "timm/convnext_atto"])
def test_adapters_alone_are_trained(name, place):
    pytest.importorskip("peft", reason="peft is not installed")
    model, batch = vision(place(name), lora_rank=2), image_batch(2, SPEC)
    trained = [key for key, p in model.named_parameters() if p.requires_grad]
    assert all("lora_" in key or key.startswith(("pool", "head")) for key in trained)
    cross_entropy(model.train()(batch).answer, batch.targets["label"]).backward()
    assert [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "vit"])
def test_recomputing_changes_no_gradient(name, place):
    place_of, batch = place(name), image_batch(2, SPEC)
    grads = []
    for recompute in (False, True):
        model = vision(place_of, recompute=recompute).train()
        cross_entropy(model(batch).answer, batch.targets["label"]).backward()
        grads.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    for key, grad in grads[0].items():
        torch.testing.assert_close(grads[1][key], grad, msg=key)


@pytest.mark.long
def test_a_pooling_over_a_fixed_random_backbone_learns(tmp_path, capsys):
    place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}", "logger=none"]
    fixed = [
        "model.source=torchvision/resnet18",
        "model.pretrained=false",
        "model.frozen=[backbone]",
        "model.resize=32",
    ]
    quick = ["optimizer.lr=1e-2", "trainer.max_epochs=4", "trainer.attention_examples=8", "data.batch_size=32"]
    assert main(["train", "model=vision", "data=digits", *place, *fixed, *quick]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((run / "metrics.json").read_text())["test"]["accuracy"] > 0.7
    assert main(["evaluate", str(run)]) == 0
