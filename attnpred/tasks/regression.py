"""Regression: one number or several, standardised by the train part and answered in the data's own unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional import pearson_corrcoef, r2_score, spearman_corrcoef

from attnpred.config.options import TaskConfig
from attnpred.config.schema import option
from attnpred.console.tables import align, number, printable
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.data.number_target import Numbers, NumberTarget
from attnpred.tasks.base import Claim, Task, known
from attnpred.tasks.collected import Collected

DIGITS = ".4g"  # of a number in words


@dataclass(kw_only=True)
class RegressionConfig(TaskConfig):
    """Options of regression."""

    reads: ClassVar[str] = "number"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "loss": "min",
        "mae": "min",
        "mse": "min",
        "pearson": "max",
        "r2": "max",
        "rmse": "min",
        "spearman": "max",
    }
    monitor: ClassVar[str] = "r2"

    loss: Literal["mse", "mae", "huber"] = option(
        "What training makes small, of standardised numbers: the mean squared, the absolute or the Huber loss."
    )
    huber_delta: float = option(
        "Error, in standard deviations, above which the Huber loss grows linearly.", gt=0, default=1.0
    )


class Regression(Task):
    Spec = Numbers
    scored = "how far the number lies from the train part's mean, in standard deviations"
    config: RegressionConfig
    spec: Numbers

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> NumberTarget:
        return NumberTarget(columns, option)

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(len(self.spec.names), exclusive=False, centred=True)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        return self._loss(output.answer.float(), known(batch, "numbers"))

    def _loss(self, answer: Tensor, numbers: Tensor) -> Tensor:
        if self.config.loss == "huber":
            return F.huber_loss(answer, numbers, delta=self.config.huber_delta)
        return F.mse_loss(answer, numbers) if self.config.loss == "mse" else F.l1_loss(answer, numbers)

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The absolute error in the data's unit, as a mean over the numbers."""
        apart = (output.answer.float() - known(batch, "numbers")).abs() * self._deviation(output.answer)
        return {"mae": apart.mean(1).sum()}

    def soften(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(targets)

    def metrics(self) -> Collected:
        return Collected()

    def update_metrics(self, metrics: Collected, output: ModelOutput, batch: Batch) -> None:
        metrics.update(output.answer.float(), known(batch, "numbers"))

    def results(self, metrics: Collected, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        answers, numbers = metrics.compute().cpu()  # (examples, numbers) each, standardised
        found = [self._measured(i, answers[:, i].double(), numbers[:, i].double()) for i in range(answers.shape[1])]
        means = {key: sum(one[key] for one in found) / len(found) for key in found[0] if key != "name"}
        scalars = {"loss": self._loss(answers, numbers), **{k: torch.tensor(v) for k, v in means.items()}}
        return scalars, {"numbers": found, "examples": len(answers)}

    def _measured(self, place: int, answer: Tensor, true: Tensor) -> dict[str, Any]:
        """One number's errors in the data's unit, and correlations; without spread there are none, and count as 0."""
        apart = (answer - true) * self.spec.deviation[place]
        spread = len(true) > 1 and bool(true.std() > 0)
        varied = spread and bool(answer.std() > 0)
        mse = float(apart.square().mean())
        return {
            "name": self.spec.names[place],
            "mse": mse,
            "mae": float(apart.abs().mean()),
            "rmse": mse**0.5,
            "r2": float(r2_score(answer, true)) if spread else 0.0,
            "pearson": float(pearson_corrcoef(answer, true)) if varied else 0.0,
            "spearman": float(spearman_corrcoef(answer, true)) if varied else 0.0,
        }

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """How far the number lies from the train part's mean, in standard deviations, in the direction chosen."""
        return pick(output.answer.float(), choice)

    def choice_name(self, choice: int) -> str:
        return (
            f"{self.spec.names[choice]} above its mean" if choice >= 0 else f"{self.spec.names[~choice]} below its mean"
        )

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        rows = self._in_unit(output.answer.float()).tolist()
        return [{"numbers": dict(zip(self.spec.names, row, strict=True))} for row in rows]

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return self._words(list(described["numbers"].values())), None

    def truths(self, batch: Batch) -> list[str | None]:
        if "numbers" not in batch.targets:
            return [None] * len(batch)
        return [self._words(row) for row in self._in_unit(batch.targets["numbers"]).tolist()]

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        rows = self._in_unit(known(batch, "numbers")).tolist()
        return [{"given": dict(zip(self.spec.names, row, strict=True))} for row in rows]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        given, answers = row["given"], row["numbers"]
        return [Claim(name, f"{given[name]:g}", number=given[name], answer=answers[name]) for name in given]

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """More than a standard deviation apart, in any number."""
        return self.order(described, batch, row) > 1

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        """The largest error, in standard deviations."""
        if "numbers" not in batch.targets:
            return 0.0
        true = self._in_unit(batch.targets["numbers"][row : row + 1])[0].tolist()
        answers = described["numbers"].values()
        return max(abs(a - t) / d for a, t, d in zip(answers, true, self.spec.deviation, strict=True))

    def _words(self, values: Sequence[float]) -> str:
        if len(values) == 1:
            return format(values[0], DIGITS)
        return ", ".join(f"{name} {value:{DIGITS}}" for name, value in zip(self.spec.names, values, strict=True))

    def _deviation(self, like: Tensor) -> Tensor:
        return torch.tensor(self.spec.deviation, device=like.device)

    def _in_unit(self, numbers: Tensor) -> Tensor:
        return numbers * self._deviation(numbers) + torch.tensor(self.spec.mean, device=numbers.device)

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        """A line a number, where there are several."""
        found = details.get("numbers") or []
        if len(found) < 2:
            return []
        keys = [key for key in found[0] if key != "name"]
        return [
            align(
                [
                    [f"{split} by number", *keys],
                    *([printable(o["name"]), *map(number, (o[k] for k in keys))] for o in found),
                ]
            )
        ]
