"""Adapters: a few trained weights beside those of a network, which stay as they are.

Low-rank maps (LoRA, Hu et al. 2021), ranks that are shared out (AdaLoRA, Zhang et al. 2023), a factor a feature (IA3,
Liu et al. 2022), a small network behind each layer (Houlsby et al. 2019), and vectors read before the text (Lester et
al. 2021).
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config.adapter_options import AdaptedConfig
from attnpred.errors import NotInstalled, UserError
from attnpred.models.rank_budget import WIDER, RankBudget

DEVIATION = 0.02
BASE = "base_layer"  # what peft calls the map that an adapter stands beside, in the names of weights


def add(network: nn.Module, config: AdaptedConfig, layers: nn.ModuleList | None = None) -> RankBudget | None:
    """Gives a network the adapters that its options name, and fixes everything else in it.

    `layers` are the network's own, behind which small networks can be put. Of ranks that are shared out, what does it.
    """
    kind = config.adapts()
    if kind is None:
        return None
    if kind in ("bottleneck", "prompt"):
        network.requires_grad_(False)
        if kind == "bottleneck":
            _add_bottlenecks(layers, config.adapter_size, _place(config))
        return None
    names = _adaptable(network)
    if kind == "adalora":
        names = [name for name in names if isinstance(network.get_submodule(name), nn.Linear)]
    if not names:
        raise UserError(f"{_place(config)}: nothing in the model can have such adapters; set it to null")
    _inject(network, config, names)
    if kind != "adalora":
        return None
    return RankBudget(network, config.adapter_size)


def _place(config: AdaptedConfig) -> str:
    """The option and its value, for error messages."""
    return f"model.lora_rank={config.lora_rank}" if config.lora_rank is not None else f"model.adapter={config.adapter}"


def _inject(network: nn.Module, config: AdaptedConfig, names: list[str]) -> None:
    try:
        from peft import AdaLoraConfig, IA3Config, LoraConfig, inject_adapter_in_model
    except ImportError:
        raise NotInstalled(_place(config), "peft", "lora") from None
    kind, size = config.adapts(), config.adapter_size
    chosen: Any
    if kind == "lora":
        # twice the rank, as is usual, so that the rate needs no new search when the rank changes
        rank: int = config.lora_rank or size
        chosen = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names)
    elif kind == "ia3":
        chosen = IA3Config(target_modules=names, feedforward_modules=[])
    else:
        first = max(round(WIDER * size), size + 1)
        chosen = AdaLoraConfig(
            init_r=first, target_r=size, lora_alpha=2 * size, target_modules=names, total_step=2**31, tinit=0
        )
    inject_adapter_in_model(chosen, network)


def _adaptable(network: nn.Module) -> list[str]:
    """Names of the linear maps that are called as such, else of the convolutions."""
    read = {f"{n}.out_proj" for n, m in network.named_modules() if isinstance(m, nn.MultiheadAttention)}  # not called
    linear = [n for n, m in network.named_modules() if isinstance(m, nn.Linear) and n not in read]
    dense = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    return linear or dense


class Bottleneck(nn.Module):
    """A layer, and a small network that adds to what it gives; at first it adds nothing."""

    def __init__(self, layer: nn.Module, width: int, size: int) -> None:
        super().__init__()
        self.base_layer = layer
        self.norm = nn.LayerNorm(width)
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        nn.init.trunc_normal_(self.down.weight, std=DEVIATION)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, *given: Any, **named: Any) -> Any:
        found = self.base_layer(*given, **named)
        if isinstance(found, Tensor):
            return self._added(found)
        return (self._added(found[0]), *found[1:])

    def _added(self, x: Tensor) -> Tensor:
        return x + self.up(F.gelu(self.down(self.norm(x))))

    def __getattr__(self, name: str) -> Any:
        """What code of the network asks a layer for, beside calling it."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__(BASE), name)


def _add_bottlenecks(layers: nn.ModuleList | None, size: int, place: str) -> None:
    if not layers:
        raise UserError(f"{place}: no layers can be told in this network; take another kind of adapter")
    for number, layer in enumerate(layers):
        width = next(m.normalized_shape[0] for m in layer.modules() if isinstance(m, nn.LayerNorm))
        layers[number] = Bottleneck(layer, width, size)


class Prompt(nn.Module):
    """Vectors that are read before a text's own; they begin as those of tokens drawn from the table."""

    def __init__(self, table: nn.Embedding, size: int) -> None:
        super().__init__()
        with torch.no_grad():
            drawn = table.weight[torch.randint(table.num_embeddings, (size,))]
        self.vectors = nn.Parameter(drawn.clone())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> the same, longer by the vectors"""
        return torch.cat((self.vectors.to(x.dtype).expand(len(x), -1, -1), x), dim=1)


def merge(network: nn.Module) -> None:
    """Adds adapters to the weights that they stand beside, where that gives the same answers, and takes them off."""
    for parent, name, adapter in list(_adapted(network)):
        adapter.merge()
        setattr(parent, name, adapter.get_base_layer())


def _adapted(network: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Peft's adapters, by where they stand; none is imported where there are none."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if hasattr(child, "get_base_layer") and hasattr(child, "merge"):
                yield parent, name, child


def plain_name(name: str) -> str:
    """The name that a weight has where nothing stands beside it."""
    return name.replace(f".{BASE}.", ".")
