"""A metric that keeps every answer and target of a split, for measures that need all of them at once."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Collected(Metric):
    """Answers and targets, (examples, …) each; several processes gather theirs."""

    full_state_update = False
    answers: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("answers", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, answers: Tensor, targets: Tensor) -> None:
        self.answers.append(answers.detach().float())
        self.targets.append(targets.float())

    def compute(self) -> Tensor:
        """(2, examples, …): answers, then targets"""
        return torch.stack((dim_zero_cat(self.answers), dim_zero_cat(self.targets)))
