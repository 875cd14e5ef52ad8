"""The options of models that can be adapted by few weights beside their own, which stay as they are."""

from dataclasses import dataclass
from typing import Literal

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import ModelConfig
from attnpred.config.schema import Invalid, option

AdapterKind = Literal["lora", "adalora", "ia3", "bottleneck", "prompt"]


@dataclass(kw_only=True)
class AdaptedConfig(ModelConfig):
    """Options of models that may have adapters."""

    lora_rank: int | None = option(
        "Rank of adapters that are trained in place of the weights they stand beside; null trains these.",
        ge=1,
        le=MOST_FEATURES,
        default=None,
    )
    adapter: Literal["adalora", "ia3", "bottleneck", "prompt"] | None = option(
        "Other adapters: ranks shared out (adalora), a factor a feature (ia3), a network behind each layer "
        "(bottleneck), or vectors read before the text (prompt).",
        default=None,
    )
    adapter_size: int = option(
        "Their size: the mean rank, the small network's features, or the number of vectors; ia3 has none.",
        ge=1,
        le=MOST_FEATURES,
        default=8,
    )

    def adapts(self) -> AdapterKind | None:
        """The kind of adapters, whichever option names it."""
        return "lora" if self.lora_rank is not None else self.adapter

    def check(self) -> None:
        if self.lora_rank is not None and self.adapter is not None:
            raise Invalid("lora_rank", f"is for adapters of another kind than adapter={self.adapter}; name one")
