"""Classification: one label out of several, by cross-entropy."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassCalibrationError, MulticlassConfusionMatrix

from attnpred.config.options import TaskConfig
from attnpred.config.schema import option
from attnpred.console.tables import per_class
from attnpred.contracts import Batch, ModelOutput
from attnpred.tasks.base import Task


@dataclass(kw_only=True)
class ClassificationConfig(TaskConfig):
    """Options of classification."""

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "calibration_error", "f1", "loss")

    label_smoothing: float = option("Share of the target that is spread over all classes in training.", ge=0, lt=1)
    consistency: float = option(
        "Weight of how far apart two answers to one training example are, each under its own dropout (R-Drop): a model "
        "without any gives the same one twice; above 0 every example is answered twice, in twice the time.",
        ge=0,
        default=0.0,
    )


class Classification(Task):
    config: ClassificationConfig

    def seen(self, batch: Batch) -> Batch:
        """With `consistency`, all examples and then all of them again."""
        if not self.config.consistency:
            return batch
        return batch.rows(torch.arange(len(batch), device=batch.ids.device).repeat(2))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        # in float32: bf16 has three decimal digits, too few for a small loss
        logits = output.logits.float()
        loss = F.cross_entropy(logits, _labels(batch), label_smoothing=self.config.label_smoothing)
        return loss + self.config.consistency * _apart(logits) if self.config.consistency else loss

    def hits(self, output: ModelOutput, batch: Batch) -> Tensor:
        labels = _labels(batch)
        hard = labels.argmax(1) if labels.ndim == 2 else labels
        return (output.logits.argmax(1) == hard).sum()

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
        logits, labels = output.logits.float(), _labels(batch)
        metrics["loss"].update(F.cross_entropy(logits, labels), weight=len(batch))
        metrics["confusion"].update(logits.argmax(1), labels)
        metrics["calibration_error"].update(logits.softmax(1), labels)

    def results(self, metrics: MetricCollection) -> tuple[dict[str, Tensor], dict[str, Any]]:
        values = metrics.compute()
        counts = values["confusion"].cpu()  # (true, predicted)
        classes = per_class(counts.numpy(), self.spec.classes)
        # a class that the split does not hold and nobody predicted has no F1 to average
        present = [
            c["f1"] for c, row, column in zip(classes, counts.sum(1), counts.sum(0), strict=True) if row + column > 0
        ]
        scalars = {
            "loss": values["loss"],
            "accuracy": counts.diagonal().sum() / counts.sum(),
            "f1": torch.tensor(sum(present) / len(present)),
            "calibration_error": values["calibration_error"],
        }
        return scalars, {"classes": classes, "confusion": counts.tolist(), "examples": int(counts.sum())}

    def predict(self, output: ModelOutput) -> list[dict[str, Any]]:
        rows = output.logits.float().softmax(1).tolist()  # (batch, classes)
        names = self.spec.classes
        return [
            {
                "label": names[max(range(len(row)), key=row.__getitem__)],
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for row in rows
        ]


def _apart(logits: Tensor) -> Tensor:
    """Mean divergence, taken both ways and halved, of the first half's chances from the second half's."""
    first, second = logits.log_softmax(1).chunk(2)  # (batch, classes) each
    return 0.5 * ((first.exp() - second.exp()) * (first - second)).sum(1).mean()


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None, "a batch without labels cannot be scored"
    return batch.labels
