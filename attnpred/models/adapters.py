"""Low-rank adapters: a few trained numbers beside a pretrained encoder's fixed matrices (LoRA, Hu et al. 2021)."""

from typing import Any

from torch import nn

from attnpred.errors import UserError


def add(encoder: Any, rank: int) -> None:
    """Puts adapters beside all of the encoder's linear maps and fixes everything else in it."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError(f"model.lora_rank={rank}: peft is not installed; pip install attnpred[lora]") from None
    names = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    # twice the rank, as is usual, so that the rate needs no new search when the rank changes
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), encoder)
