"""What a task owns: its target, the shape of its answer, loss, metrics, and how an answer is explained and shown."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from attnpred.config.options import DataConfig, TaskConfig
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, TargetSpec
from attnpred.data.targets import Target
from attnpred.errors import UserError
from attnpred.models.views import answered


@dataclass(frozen=True)
class Summary:
    """One answer as pages and pictures show it."""

    predicted: str
    true: str | None  # None where nobody knows
    explained: str  # what of the answer its map explains
    wrong: bool
    confidence: float | None  # a probability, where there is one
    order: float  # among right and among wrong answers, those with the most come first
    described: dict[str, Any]  # as `describe` gives it
    marks: list[tuple[str, str | None]] | None = None  # of each part with an answer, the answer and the truth


@dataclass(frozen=True)
class Claim:
    """One thing that the data say of a row, and what an answer to that row says of it: a class, or a number."""

    what: str  # of what, where a row has several: a label, a word, a number
    given: str  # by the data
    chances: Mapping[str, float] = field(default_factory=dict)  # of all that it could be
    number: float | None = None  # by the data; it has no chances then
    answer: float | None = None
    word: int | None = None  # of the input, where it is about one


class Task(ABC):
    """One question. A new task is a new file with a subclass and its `<Class>Config`, and a YAML that names it."""

    Spec: ClassVar[type[TargetSpec]]  # of the target
    # Whether scores are probabilities, which leaving out parts changes by their odds; else they are used as they are
    bounded: ClassVar[bool] = False
    scored: ClassVar[str] = "the answer"  # what `score` is, in words
    kept_pictures: ClassVar[tuple[str, ...]] = ()  # those of `pictures` that the run directory holds as files too

    def __init__(self, config: TaskConfig, spec: Any) -> None:
        self.config = config
        self.spec = spec

    @classmethod
    @abstractmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> Target[Any]:
        """What is read of a row; `option` is what named the columns. Nothing is read yet."""

    @classmethod
    def settled(cls, config: Any, data: DataConfig) -> Any:
        """The same options, with all said that a dataset whose columns are known leaves to a task."""
        return config

    def views(self) -> Mapping[str, "Task"]:
        """Of several answers each as a task of its own, by its name; none where there is one answer."""
        return {}

    @property
    @abstractmethod
    def answer(self) -> AnswerSpec:
        """The shape of the answer, from which the model makes its last layer."""

    # Training

    def seen(self, batch: Batch) -> Batch:
        """What the model is shown of a training batch, and `loss` is given: the batch, unless a task asks for more."""
        return batch

    @abstractmethod
    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """The objective, averaged over a batch as `seen` made it: a scalar."""

    @abstractmethod
    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """What the training curves show beside the loss, each summed over a batch as `seen` made it: scalars."""

    def posed(self, batch: Batch) -> Batch:
        """New input as the model is shown it: as it is, unless a task hides parts of it."""
        return batch

    def learn(self, model: torch.nn.Module, output: ModelOutput, batch: Batch) -> None:  # noqa: B027
        """Takes from a step of training what the task keeps for itself, before the step's gradients are taken."""

    def soften(self, targets: Any) -> dict[str, Tensor] | None:
        """The targets in a form whose averages are targets too, for mixed images; None where there is no such form."""
        return None

    def asked(self, model: Any, batch: Batch, *, mirror: bool, need_attention: bool) -> ModelOutput:
        """A trained model's answer as people are given it; without the layers' weights."""
        return answered(model, batch, mirror=mirror, need_attention=need_attention)

    def decode_by(self, **options: Any) -> None:
        """Answers are to be looked for in this way, as `decoding.Decoding` has it."""
        raise UserError("--beam, --nbest and --sample: are for runs whose answers are texts; leave them out")

    # Measuring

    @abstractmethod
    def metrics(self) -> torch.nn.Module:
        """A fresh metric collection for one split; fed by `update_metrics`."""

    def measure(self, metrics: Any, model: Any, batch: Batch, *, mirror: bool, final: bool) -> ModelOutput:
        """Asks the model about a batch and feeds a split's metrics; `final` is a test, and not in training."""
        output = answered(model, batch, mirror=mirror)
        self.update_metrics(metrics, output, batch)
        return output

    @abstractmethod
    def update_metrics(self, metrics: Any, output: ModelOutput, batch: Batch) -> None: ...

    @abstractmethod
    def results(self, metrics: Any, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The split's scalars, which are logged, and its details (plain data), which are reported.

        With `learn` the split is validation in training: the task may take from it what it needs to answer, such as
        thresholds. Collective where several processes train: every rank calls it.
        """

    def state(self) -> dict[str, Any]:
        """What was learned of validation, as plain containers: kept in checkpoints beside the weights."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave; ValueError where that is something else."""
        if state:
            raise ValueError("holds what another task learned")

    def keep(self, directory: Path) -> None:  # noqa: B027
        """Writes into the run directory what of the last split that was measured is kept beside its numbers."""

    def tempered(self, temperature: float) -> Self:
        """The task, such that what it learned of validation holds for answers that are divided by this."""
        return self

    # Explaining

    def held(self, output: ModelOutput, batch: Batch) -> Batch:
        """The batch as explainers ask about it again and again: an answer that is generated is held as it is."""
        return batch if output.tokens is None else replace(batch, given=output.tokens)

    def choose(self, output: ModelOutput) -> Tensor:
        """(batch,) int64: what of each answer is explained. See `contracts.pick`."""
        return self.answer.choose(output.answer)

    def further(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Tensor]:
        """Other choices that a page explains beside the usual one, (batch,) each; `choice` where there is none."""
        return []

    @abstractmethod
    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """How much each answer says what was chosen, (batch,): all that explainers and measures ask of a task.

        With `linear` as gradients are taken of it: not squeezed between bounds.
        """

    @abstractmethod
    def choice_name(self, choice: int) -> str:
        """What a choice stands for, in words."""

    # Showing

    @abstractmethod
    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        """One plain description an example, for programs."""

    def located(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer of `predict`, description and parts of the input together, as programs are given it."""
        return answer

    @abstractmethod
    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        """A description's answer in words, and its probability where it has one."""

    @abstractmethod
    def truths(self, batch: Batch) -> list[str | None]:
        """Each example's target in words; None where nobody knows."""

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """Whether the answer to one example is a mistake."""
        true = self.truths(batch)[row]
        return true is not None and true != self.headline(described)[0]

    def marks(self, described: dict[str, Any], batch: Batch, row: int) -> list[tuple[str, str | None]] | None:
        """Of each part that has an answer of its own, that answer and the truth in words; None where none has."""
        return None

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        """What pages sort by: the examples with the most come first."""
        return self.headline(described)[1] or 0.0

    def summaries(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Summary]:
        """Every example's answer as pages and pictures show it."""
        truths, choices = self.truths(batch), choice.tolist()
        found = []
        for row, described in enumerate(self.describe(output)):
            predicted, confidence = self.headline(described)
            found.append(
                Summary(
                    predicted=predicted,
                    true=truths[row],
                    explained=self.choice_name(choices[row]),
                    wrong=self.wrong(described, batch, row),
                    confidence=confidence,
                    order=self.order(described, batch, row),
                    described=described,
                    marks=self.marks(described, batch, row),
                )
            )
        return found

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        """What predictions that are kept tell of each example beside `describe` and `truths`, for `claims`."""
        return [{} for _ in range(len(batch))]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        """What may be wrong in the data, of one row of kept predictions; nothing where a task has not said."""
        return []

    def names(self) -> list[str]:
        """The classes or labels that pages list; none where an answer is a number."""
        return []

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        """What a person reads of a split's details, each as aligned text."""
        return []

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        """What TensorBoard shows of a split's details: (height, width, 3) uint8 by name."""
        return {}


def known(batch: Batch, name: str) -> Tensor:
    """A batch's target; new input has none."""
    assert name in batch.targets, f"a batch without {name} cannot be scored"
    return batch.targets[name]


def listed_weights(asked: list[float], names: Sequence[str]) -> Tensor:
    """The weights that `task.class_weights` lists: one for each class or label, in their order."""
    if len(asked) != len(names):
        raise UserError(
            f"task.class_weights={asked}: holds {len(asked)} weights; give {len(names)}, for {', '.join(names)}"
        )
    return torch.tensor(asked)
