"""Weights of image backbones: loaded from both layouts, checked, and never code."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel

from attnpred.errors import UserError
from attnpred.models.vision import Vision
from tests.models.made import IMAGE, make_config, wrapped
from tests.models.vision_made import DESCRIBED, SPEC, vision
from tests.safety.made import pickled


def saved(directory, name="vit_tiny_patch16_224", **changes):
    """A directory in the layout of timm's models on the hub, with random weights."""
    timm = pytest.importorskip("timm", reason="the timm extra is not installed")
    torch.manual_seed(5)
    network = timm.create_model(name, pretrained=False, num_classes=7)
    directory.mkdir(exist_ok=True)
    save_file(network.state_dict(), directory / "model.safetensors")
    values = {
        "architecture": name,
        "num_classes": 7,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]},
    }
    (directory / "config.json").write_text(json.dumps({**values, **changes}))
    return network


def loaded(source, spec=SPEC, **changes):
    return Vision(make_config("vision", source=str(source), **changes), wrapped(spec))


def test_weights_of_timm_are_loaded_and_fitted_to_the_images(tmp_path):
    whole = saved(tmp_path / "tiny")
    model = loaded(tmp_path / "tiny")
    state = model.backbone.network.state_dict()
    assert torch.equal(state["blocks.3.attn.qkv.weight"], whole.state_dict()["blocks.3.attn.qkv.weight"])
    assert state["pos_embed"].shape == (1, 1 + 4 * 2, 192)
    assert model.description.mean == (0.1, 0.2, 0.3)
    usual = replace(IMAGE, height=224, width=224)
    assert torch.equal(loaded(tmp_path / "tiny", usual).backbone.network.pos_embed, whole.pos_embed)


def test_weights_of_transformers_are_loaded(tmp_path):
    torch.manual_seed(5)
    whole = AutoModel.from_config(DESCRIBED["vit"])
    whole.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.2] * 3}))
    model = loaded(tmp_path)
    state = model.backbone.network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in whole.state_dict().items() if "pooler" not in key)
    assert (model.description.mean, model.description.std) == ((0.5,) * 3, (0.2,) * 3)


def refusal(source, **changes):
    with pytest.raises(UserError) as error:
        loaded(source, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_that_lack_something_are_refused(tmp_path):
    saved(tmp_path / "tiny")
    values = json.loads((tmp_path / "tiny" / "config.json").read_text())
    (tmp_path / "tiny" / "config.json").write_text(
        json.dumps({**values, "architecture": "deit_tiny_distilled_patch16_224"})
    )
    assert "weights" in refusal(tmp_path / "tiny")


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_a_strangers_weights_run_no_code(kind, tmp_path):
    saved(tmp_path / "tiny")
    ran = tmp_path / "ran"
    bad = pickled(ran)
    whole = tmp_path / "tiny" / "model.safetensors"
    if kind == "bin":
        whole.unlink()
        (tmp_path / "tiny" / "pytorch_model.bin").write_bytes(bad)
    else:
        whole.write_bytes(bad)
    assert "cannot be read" in refusal(tmp_path / "tiny")
    assert not ran.exists()


def test_what_is_no_backbone_is_refused(tmp_path, encoder, monkeypatch):
    pytest.importorskip("timm", reason="the timm extra is not installed")
    assert "reads no images alone" in refusal(encoder)
    assert "it holds no config.json" in refusal(tmp_path)
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text('{"architecture": "hf-hub:evil/model"}')
    assert "knows no hf-hub:evil/model" in refusal(tmp_path)
    assert "did you mean resnet18" in refusal("torchvision/resnet81", pretrained=False)
    assert "knows no resnet81" in refusal("timm/resnet81", pretrained=False)
    assert "knows no such weights; choose of resnet18.a1_in1k" in refusal("timm/resnet18.none", pretrained=False)
    assert "model.pooling=cls" in refusal("timm/resnet18", pretrained=False, pooling="cls")
    assert "cannot read images of 8x4 pixels" in refusal_of_small("timm/vit_tiny_patch16_224")
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    assert "timm is not installed; pip install -e '.[timm]'" in refusal("timm/resnet18", pretrained=False)


def refusal_of_small(source):
    with pytest.raises(UserError) as error:
        loaded(source, replace(IMAGE, height=8, width=4), pretrained=False)
    return str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"library": "timm", "name": "hf-hub:evil/model", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"library": "os", "name": "resnet18", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"library": "torchvision", "name": "evil", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"library": "torchvision", "name": "resnet18", "mean": ["x"], "std": [1, 1, 1]},
        {"library": "transformers", "name": "vit", "mean": [0, 0, 0], "std": [1, 1, 1], "architecture": None},
    ],
)
def test_what_a_run_keeps_of_it_is_checked(content, tmp_path):
    model = vision("torchvision/resnet18")
    (tmp_path / "backbone.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"backbone\.json"):
        Vision.restore(model.config, model.spec, tmp_path)


def test_without_a_network_unknown_weights_are_refused(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert refusal("timm/nothing.here").startswith("model.source=timm/nothing.here: not a local directory")
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    assert "cannot be fetched" in refusal("torchvision/resnet18")
