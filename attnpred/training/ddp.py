"""How processes that train together exchange gradients: in buckets, while the step back still computes others."""

from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import nn

from attnpred.machine.device import Chosen

PARTS = 6  # buckets that a model's gradients are parted into
LEAST, MOST = 2**20, 25 * 2**20  # bytes of a bucket: below, latency counts most; above, the last one is waited for


def bucket_bytes(model: nn.Module) -> int:
    """By torch's own 25 MiB a small model is one bucket, which leaves only once the step back has ended."""
    gradients = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return min(max(gradients // PARTS, LEAST), MOST)


def strategy(chosen: Chosen, model: nn.Module) -> Strategy | str:
    if chosen.strategy != "ddp":
        return chosen.strategy
    return DDPStrategy(bucket_cap_mb=bucket_bytes(model) / 2**20)
