"""Image backbones with random weights, and what describes small ones of transformers."""

from dataclasses import replace
from typing import Any

from transformers import ConvNextV2Config, Dinov2Config, ResNetConfig, SwinConfig, ViTConfig

from attnpred.models.vision import Vision
from tests.models.made import IMAGE, make_model

SPEC = replace(IMAGE, height=64, width=32)
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
    "image_size": 32,
}
DESCRIBED = {
    "vit": ViTConfig(**SMALL),
    "dinov2": Dinov2Config(**SMALL),
    "swin": SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4),
    "convnextv2": ConvNextV2Config(hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]),
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]),
}


def vision(source: str, spec: Any = SPEC, **changes: Any) -> Vision:
    found: Vision = make_model("vision", spec, **{"source": source, "pretrained": False, "resize": None, **changes})
    return found
