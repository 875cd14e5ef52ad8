"""Classification: one label out of several, by cross-entropy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassCalibrationError, MulticlassConfusionMatrix

from attnpred.config.options import TaskConfig
from attnpred.config.schema import Invalid, option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.data.class_target import Classes, ClassTarget
from attnpred.errors import UserError
from attnpred.tasks.base import Claim, Task, known, listed_weights
from attnpred.tasks.class_report import per_class, table


@dataclass(kw_only=True)
class ClassificationConfig(TaskConfig):
    """Options of classification."""

    reads: ClassVar[str] = "class"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "accuracy": "max",
        "calibration_error": "min",
        "f1": "max",
        "loss": "min",
    }
    shares: ClassVar[tuple[str, ...]] = ("accuracy", "calibration_error", "f1")
    monitor: ClassVar[str] = "accuracy"

    label_smoothing: float = option("Share of the target that is spread over all classes in training.", ge=0, lt=1)
    consistency: float = option(
        "Weight of how far apart two answers to one training example are, each under its own dropout (R-Drop). "
        "Without dropout both are the same. Above 0 every example is answered twice, in twice the time.",
        ge=0,
        default=0.0,
    )
    class_weights: Literal["balanced"] | list[float] | None = option(
        "Weight of each class in the training loss, in the order of the classes. With balanced, rare classes weigh as "
        "much in all as common ones. With null every example weighs alike.",
        gt=0,
        default=None,
    )
    focal: float = option(
        "Exponent of the focal loss: how much less an example counts that is answered right and sure; 0 is the "
        "cross-entropy.",
        ge=0,
        default=0.0,
    )

    def check(self) -> None:
        if self.focal and self.label_smoothing:
            raise Invalid("focal", "asks for sure answers, which label_smoothing punishes; set one of them to 0")


class Classification(Task):
    Spec = Classes
    bounded = True
    scored = "the probability of the explained class"
    config: ClassificationConfig
    spec: Classes

    def __init__(self, config: ClassificationConfig, spec: Classes) -> None:
        super().__init__(config, spec)
        self._weights = None if config.class_weights is None else _weights(config.class_weights, spec)

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> ClassTarget:
        return ClassTarget(columns, option)

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(len(self.spec.classes))

    def seen(self, batch: Batch) -> Batch:
        """With `consistency`, all examples and then all of them again."""
        if not self.config.consistency:
            return batch
        return batch.rows(torch.arange(len(batch), device=batch.ids.device).repeat(2))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        # in float32: bf16 has three decimal digits, too few for a small loss
        logits, labels = output.answer.float(), known(batch, "label")
        weights = None if self._weights is None else self._weights.to(logits.device)
        if self.config.focal:
            loss = _focal(logits, labels, self.config.focal, weights)
        else:
            loss = F.cross_entropy(logits, labels, weight=weights, label_smoothing=self.config.label_smoothing)
        return loss + self.config.consistency * _apart(logits) if self.config.consistency else loss

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        labels = known(batch, "label")
        hard = labels.argmax(1) if labels.ndim == 2 else labels
        return {"accuracy": (output.answer.argmax(1) == hard).sum()}

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"label": F.one_hot(targets["label"], len(self.spec.classes)).float()}

    def metrics(self) -> MetricCollection:
        classes = len(self.spec.classes)
        members: dict[str, Metric | MetricCollection] = {
            "loss": MeanMetric(),
            "confusion": MulticlassConfusionMatrix(classes, validate_args=False),
            "calibration_error": MulticlassCalibrationError(classes, n_bins=15, validate_args=False),
        }
        # each is fed different arguments, so none can share another's state
        return MetricCollection(members, compute_groups=False)

    def update_metrics(self, metrics: MetricCollection, output: ModelOutput, batch: Batch) -> None:
        logits, labels = output.answer.float(), known(batch, "label")
        metrics["loss"].update(F.cross_entropy(logits, labels), weight=len(batch))
        metrics["confusion"].update(logits.argmax(1), labels)
        metrics["calibration_error"].update(logits.softmax(1), labels)

    def results(self, metrics: MetricCollection, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        values = metrics.compute()
        counts = values["confusion"].cpu()  # (true, predicted)
        classes = per_class(counts.numpy(), self.spec.classes)
        # a class that the split does not hold and nobody predicted has no F1 to average
        present = [
            c["f1"] for c, row, column in zip(classes, counts.sum(1), counts.sum(0), strict=True) if row + column > 0
        ]
        if self._weights is not None:
            classes = [{**c, "weight": w} for c, w in zip(classes, self._weights.tolist(), strict=True)]
        scalars = {
            "loss": values["loss"],
            "accuracy": counts.diagonal().sum() / counts.sum(),
            "f1": torch.tensor(sum(present) / len(present)),
            "calibration_error": values["calibration_error"],
        }
        return scalars, {"classes": classes, "confusion": counts.tolist(), "examples": int(counts.sum())}

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The class's probability, or its logit; of a choice below 0 what speaks against the class."""
        logits = output.answer.float()
        if linear:
            return pick(logits, choice)
        found = pick(logits.softmax(1), choice)
        return torch.where(choice < 0, 1 + found, found)

    def choice_name(self, choice: int) -> str:
        return self.spec.classes[choice] if choice >= 0 else f"not {self.spec.classes[~choice]}"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        rows = output.answer.float().softmax(1).tolist()  # (batch, classes)
        names = self.spec.classes
        return [
            {
                "label": names[max(range(len(row)), key=row.__getitem__)],
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for row in rows
        ]

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return described["label"], described["probabilities"][described["label"]]

    def truths(self, batch: Batch) -> list[str | None]:
        if "label" not in batch.targets:
            return [None] * len(batch)
        return [self.spec.classes[number] for number in batch.targets["label"].tolist()]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        return [] if row["true"] is None else [Claim("", row["true"], row["probabilities"])]

    def names(self) -> list[str]:
        return list(self.spec.classes)

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        return [table(details.get("classes") or [], split)]

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        from attnpred.pages.pictures import confusion_matrix

        return {"confusion": confusion_matrix(np.array(details["confusion"]), self.spec.classes)}


def _weights(asked: str | list[float], spec: Classes) -> Tensor:
    """A weight a class; balanced ones have the mean 1 over the train part's examples."""
    if isinstance(asked, list):
        return listed_weights(asked, spec.classes)
    counts = torch.tensor(spec.counts, dtype=torch.float32)
    if not len(counts) or not counts.all():
        missing = [name for name, count in zip(spec.classes, spec.counts, strict=False) if not count]
        raise UserError(
            f"task.class_weights=balanced: the train part has no example of {', '.join(missing) or 'known classes'}; "
            "give a list of weights"
        )
    return counts.sum() / (len(counts) * counts)


def _focal(logits: Tensor, labels: Tensor, gamma: float, weights: Tensor | None) -> Tensor:
    """Cross-entropy in which an example counts by (1 - p)^gamma, p being its class's probability (Lin et al. 2017)."""
    log_p = logits.log_softmax(1)  # (batch, classes)
    share = labels if labels.ndim == 2 else F.one_hot(labels, logits.shape[1]).to(log_p.dtype)
    weighed = share if weights is None else share * weights
    each = -(weighed * (1 - log_p.exp()).clamp(min=0) ** gamma * log_p).sum(1)
    return each.sum() / weighed.sum()


def _apart(logits: Tensor) -> Tensor:
    """Mean divergence, taken both ways and halved, of the first half's chances from the second half's."""
    first, second = logits.log_softmax(1).chunk(2)  # (batch, classes) each
    return 0.5 * ((first.exp() - second.exp()) * (first - second)).sum(1).mean()
