"""One of several tasks, as explainers and pages see it: a task of its own on the model of all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnpred.contracts import AnswerSpec, Batch, ModelOutput
from attnpred.data.several_target import SEPARATOR
from attnpred.tasks.base import Claim, Task


class Member(Task):
    """Choices count among the numbers of all answers, as the model counts them; everything else is the task's own."""

    def __init__(self, name: str, task: Task, start: int) -> None:
        """`start`: where in the answer its numbers begin."""
        super().__init__(task.config, task.spec)
        self.name, self.task, self.start = name, task, start

    bounded = property(lambda self: self.task.bounded)
    scored = property(lambda self: self.task.scored)

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> Any:
        raise AssertionError("the tasks together have the target")

    @property
    def answer(self) -> AnswerSpec:
        return self.task.answer

    def output(self, output: ModelOutput) -> ModelOutput:
        """With its own numbers alone."""
        return replace(output, answer=output.answer[:, self.start : self.start + self.answer.width])

    def batch(self, batch: Batch) -> Batch:
        """With its own targets alone, by the names that the task gave them."""
        begin = self.name + SEPARATOR
        own = {key.removeprefix(begin): value for key, value in batch.targets.items() if key.startswith(begin)}
        return replace(batch, targets=own)

    def _moved(self, choice: Tensor, by: int) -> Tensor:
        return torch.where(choice < 0, choice - by, choice + by)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        return self.task.loss(self.output(output), self.batch(batch))

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        return self.task.figures(self.output(output), self.batch(batch))

    def metrics(self) -> torch.nn.Module:
        return self.task.metrics()

    def update_metrics(self, metrics: Any, output: ModelOutput, batch: Batch) -> None:
        self.task.update_metrics(metrics, self.output(output), self.batch(batch))

    def results(self, metrics: Any, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.task.results(metrics, learn=learn)

    def choose(self, output: ModelOutput) -> Tensor:
        return self._moved(self.task.choose(self.output(output)), self.start)

    def further(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Tensor]:
        own = self.task.further(self.output(output), self._moved(choice, -self.start), self.batch(batch))
        return [self._moved(one, self.start) for one in own]

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        return self.task.score(self.output(output), self._moved(choice, -self.start), linear=linear)

    def choice_name(self, choice: int) -> str:
        return self.task.choice_name(choice - self.start if choice >= 0 else choice + self.start)

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        return self.task.describe(self.output(output))

    def located(self, answer: dict[str, Any]) -> dict[str, Any]:
        return self.task.located(answer)

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return self.task.headline(described)

    def truths(self, batch: Batch) -> list[str | None]:
        return self.task.truths(self.batch(batch))

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        return self.task.wrong(described, self.batch(batch), row)

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        return self.task.order(described, self.batch(batch), row)

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        return self.task.kept(self.output(output), self.batch(batch))

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        return self.task.claims(row)

    def names(self) -> list[str]:
        return self.task.names()

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        return self.task.tables(details, f"{split} {self.name}")

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        return self.task.pictures(details)
