"""Modules that in evaluation do less than in training, and can make that part of the weights beside them."""

from torch import nn


class Foldable(nn.Module):
    """Once folded it can neither be trained nor saved."""

    folded = False

    def fold(self) -> None:
        self.folded = True
