"""What the learner asks of a task: a loss, running figures while training, and metrics of a whole split."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from attnpred.config.options import TaskConfig
from attnpred.contracts import Batch, InputSpec, ModelOutput


class Task(ABC):
    """One kind of prediction. A new task is a new file with a subclass and its `<Class>Config`."""

    def __init__(self, config: TaskConfig, spec: InputSpec) -> None:
        self.config = config
        self.spec = spec

    def seen(self, batch: Batch) -> Batch:
        """What the model is shown of a training batch, and `loss` is given: the batch, unless a task asks for more."""
        return batch

    @abstractmethod
    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """The objective, averaged over a batch as `seen` made it: a scalar."""

    @abstractmethod
    def hits(self, output: ModelOutput, batch: Batch) -> Tensor:
        """How many of the batch's examples are right: a scalar, for the training curve."""

    @abstractmethod
    def metrics(self) -> torch.nn.Module:
        """A fresh metric collection for one split; fed by `update_metrics`."""

    @abstractmethod
    def update_metrics(self, metrics: Any, output: ModelOutput, batch: Batch) -> None: ...

    @abstractmethod
    def results(self, metrics: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The split's scalars, which are logged, and its details (plain data), which are reported.

        Collective where several processes train: every rank calls it.
        """

    @abstractmethod
    def predict(self, output: ModelOutput) -> list[dict[str, Any]]:
        """One plain description an example, for `attnpred predict`."""
