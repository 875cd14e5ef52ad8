"""Weights that are multiplied in half the digits are kept so, in place of being turned into them at every use."""

from collections.abc import Iterable

import torch
from torch import nn

MULTIPLIED = (nn.Linear, nn.Conv1d, nn.Conv2d)


def halve(modules: Iterable[nn.Module], half: torch.dtype) -> None:
    """Turns the weights of those that multiply, as autocast would; others keep all digits."""
    for module in modules:
        if type(module) in MULTIPLIED:
            module.to(half)
