"""Low-rank adapters: a few trained numbers beside a pretrained encoder's fixed matrices (LoRA, Hu et al. 2021)."""

from typing import Any

from torch import nn

from attnpred.errors import NotInstalled, UserError


def add(encoder: Any, rank: int) -> None:
    """Puts adapters beside all of the encoder's linear maps and fixes everything else in it.

    What has none, as most convolutional networks, gets them beside its convolutions.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise NotInstalled(f"model.lora_rank={rank}", "peft", "lora") from None
    names = _adaptable(encoder)
    if not names:
        raise UserError(f"model.lora_rank={rank}: nothing in the model can have adapters; set it to null")
    # twice the rank, as is usual, so that the rate needs no new search when the rank changes
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), encoder)


def _adaptable(encoder: Any) -> list[str]:
    """Names of the linear maps that are called as such, else of the convolutions."""
    read = {f"{n}.out_proj" for n, m in encoder.named_modules() if isinstance(m, nn.MultiheadAttention)}  # not called
    linear = [n for n, m in encoder.named_modules() if isinstance(m, nn.Linear) and n not in read]
    dense = [n for n, m in encoder.named_modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    return linear or dense
