"""Multi-label classification: any number of labels, each by its own probability and its own threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor

from attnpred.config.options import TaskConfig
from attnpred.config.schema import option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.data.labels_target import LabelSet, LabelsTarget
from attnpred.errors import UserError
from attnpred.tasks.base import Claim, Task, known, listed_weights
from attnpred.tasks.class_report import report, table
from attnpred.tasks.collected import Collected

USUAL = 0.5  # threshold, until validation has told a better one


@dataclass(kw_only=True)
class MultilabelConfig(TaskConfig):
    """Options of multi-label classification."""

    reads: ClassVar[str] = "labels"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "exact_match": "max",
        "loss": "min",
        "macro_f1": "max",
        "mean_average_precision": "max",
        "micro_f1": "max",
    }
    shares: ClassVar[tuple[str, ...]] = ("exact_match", "macro_f1", "mean_average_precision", "micro_f1")
    monitor: ClassVar[str] = "mean_average_precision"

    class_weights: Literal["balanced"] | list[float] | None = option(
        "Weight in the training loss of the rows that have a label, in the order of the labels. With balanced "
        "they count as much in all as the rows without. With null every row weighs alike.",
        gt=0,
        default=None,
    )


class Multilabel(Task):
    """Thresholds are those that give each label its highest F1 on validation. They are kept beside the weights."""

    Spec = LabelSet
    bounded = True
    scored = "the probability of the explained label"
    config: MultilabelConfig
    spec: LabelSet

    def __init__(self, config: MultilabelConfig, spec: LabelSet) -> None:
        super().__init__(config, spec)
        self.thresholds = [USUAL] * len(spec.labels)
        self._weights = None if config.class_weights is None else _weights(config.class_weights, spec)

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> LabelsTarget:
        return LabelsTarget(columns, option)

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(len(self.spec.labels), exclusive=False)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        weights = None if self._weights is None else self._weights.to(output.answer.device)
        return F.binary_cross_entropy_with_logits(output.answer.float(), known(batch, "labels"), pos_weight=weights)

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The share of a row's labels, those it lacks among them, that are right at a threshold of a half."""
        right = (output.answer > 0) == (known(batch, "labels") > 0.5)
        return {"accuracy": right.float().mean(1).sum()}

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(targets)

    def metrics(self) -> Collected:
        return Collected()

    def update_metrics(self, metrics: Collected, output: ModelOutput, batch: Batch) -> None:
        metrics.update(output.answer.float().sigmoid(), known(batch, "labels"))

    def results(self, metrics: Collected, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        probabilities, labels = metrics.compute().cpu()  # (examples, labels) each
        true = labels.bool()
        if learn:
            columns = zip(probabilities.T.numpy(), true.T.numpy(), strict=True)
            self.thresholds = [best_threshold(p, t) for p, t in columns]
        predicted = probabilities >= torch.tensor(self.thresholds)
        hits, support, said = (x.sum(0).numpy() for x in (predicted & true, true, predicted))
        each = report(hits, support, said, self.spec.labels)
        present = [one["f1"] for one, s, p in zip(each, support, said, strict=True) if s + p]
        # a label that no row of the split has is left out of the mean
        held = true.any(0)
        columns = zip(true[:, held].T.numpy(), probabilities[:, held].T.numpy(), strict=True)
        precision = [average_precision_score(t, p) for t, p in columns] or [0.0]
        scalars = {
            "loss": F.binary_cross_entropy(probabilities, labels),
            "macro_f1": torch.tensor(sum(present) / max(len(present), 1)),
            "micro_f1": torch.tensor(2 * hits.sum() / max(support.sum() + said.sum(), 1)),
            "mean_average_precision": torch.tensor(np.mean(precision)),
            "exact_match": (predicted == true).all(1).float().mean(),
        }
        each = [{**one, "threshold": t} for one, t in zip(each, self.thresholds, strict=True)]
        return scalars, {"labels": each, "examples": len(labels)}

    def state(self) -> dict[str, Any]:
        return {"thresholds": list(self.thresholds)}

    def tempered(self, temperature: float) -> Self:
        logits = torch.tensor(self.thresholds, dtype=torch.double).logit(eps=1e-9)
        self.thresholds = (logits / temperature).sigmoid().tolist()
        return self

    def load_state(self, state: dict[str, Any]) -> None:
        given = state.get("thresholds")
        if not isinstance(given, list) or len(given) != len(self.spec.labels):
            raise ValueError(f"holds no thresholds for {len(self.spec.labels)} labels")
        if not all(isinstance(one, float) for one in given):
            raise ValueError("a threshold is not a number")
        self.thresholds = given

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The label's probability, or its logit; of a choice below 0 what speaks against the label."""
        chosen = pick(output.answer.float(), choice)
        return chosen if linear else chosen.sigmoid()

    def choice_name(self, choice: int) -> str:
        return self.spec.labels[choice] if choice >= 0 else f"not {self.spec.labels[~choice]}"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        found = []
        for row in output.answer.float().sigmoid().tolist():
            chances = dict(zip(self.spec.labels, row, strict=True))
            over = [n for n, t in zip(self.spec.labels, self.thresholds, strict=True) if chances[n] >= t]
            found.append({"labels": over, "probabilities": chances})
        return found

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return self._words(described["labels"]), max(described["probabilities"].values())

    def truths(self, batch: Batch) -> list[str | None]:
        if "labels" not in batch.targets:
            return [None] * len(batch)
        rows = (batch.targets["labels"] > 0.5).tolist()
        return [self._words([n for n, has in zip(self.spec.labels, row, strict=True) if has]) for row in rows]

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        rows = (known(batch, "labels") > 0.5).tolist()
        return [{"given": [n for n, has in zip(self.spec.labels, row, strict=True) if has]} for row in rows]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        """Each label by itself: it is there, or it is not."""
        found = []
        for name, chance in row["probabilities"].items():
            chances = {name: chance, f"not {name}": 1 - chance}
            found.append(Claim(name, name if name in row["given"] else f"not {name}", chances))
        return found

    def _words(self, labels: Sequence[str]) -> str:
        return ", ".join(labels) or "none"

    def names(self) -> list[str]:
        return list(self.spec.labels)

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        return [table(details.get("labels") or [], split, "label")]


def _weights(asked: str | list[float], spec: LabelSet) -> Tensor:
    if isinstance(asked, list):
        return listed_weights(asked, spec.labels)
    if not all(0 < count < spec.rows for count in spec.counts):
        bad = [n for n, count in zip(spec.labels, spec.counts, strict=True) if not 0 < count < spec.rows]
        raise UserError(
            f"task.class_weights=balanced: in the train part all rows, or none, have {', '.join(bad)}; give a list"
        )
    counts = torch.tensor(spec.counts, dtype=torch.float32)
    return (spec.rows - counts) / counts


def best_threshold(probabilities: np.ndarray, true: np.ndarray) -> float:
    """The threshold with the highest F1, halfway to the next probability below; a half where no row has the label."""
    if not true.any():
        return USUAL
    order = np.argsort(-probabilities, kind="stable")
    sure, hits = probabilities[order], np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(sure) + 1) + true.sum())
    last_of_equals = np.append(sure[1:] < sure[:-1], True)  # equal probabilities are all above a threshold, or none is
    best = int(np.argmax(np.where(last_of_equals, f1, -1.0)))
    below = sure[best + 1] if best + 1 < len(sure) else 0.0
    halfway = (sure[best] + below) / 2
    return float(halfway if halfway > below else sure[best])  # there may be no number between two neighbours
