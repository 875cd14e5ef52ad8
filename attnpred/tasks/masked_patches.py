"""Masked patches: parts of images or of series are hidden and to be found, which teaches a model without labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection, SumMetric

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import Modality, Shape, TaskConfig
from attnpred.config.schema import option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.data.hidden_patches import PATCHES, HiddenPatches, HiddenPatchesTarget, chosen, hide
from attnpred.tasks.base import Summary, Task, known

NAMED = ("mse", "mae")


@dataclass(kw_only=True)
class MaskedPatchesConfig(TaskConfig):
    """Options of masked patches."""

    reads: ClassVar[str] = "itself"
    inputs: ClassVar[tuple[Modality, ...]] = ("image", "series")
    shape: ClassVar[Shape] = "hidden"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"loss": "min", "mse": "min", "mae": "min"}

    share: float = option(
        "Share of the patches that are hidden, others each time an example is trained on.", gt=0, lt=1
    )
    patch: int = option("Side of a patch in pixels; of a series its moments.", ge=1, le=MOST_FEATURES)
    loss: Literal["mse", "mae"] = option("Error of the standardised values that training makes small.")


class MaskedPatches(Task):
    Spec = HiddenPatches
    scored = "how far the explained value lies from its mean, in standard deviations"
    config: MaskedPatchesConfig
    spec: HiddenPatches

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> HiddenPatchesTarget:
        return HiddenPatchesTarget(columns, option, share=config.share, patch=config.patch)

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(self.spec.numbers, shape="hidden", exclusive=False, centred=True, patch=self.spec.patch)

    def seen(self, batch: Batch) -> Batch:
        """The batch with other patches hidden each time."""
        draws = torch.rand(len(batch), self.spec.rows * self.spec.columns, device=batch.ids.device)
        return hide(batch, chosen(draws, self.config.share), self.spec)

    def posed(self, batch: Batch) -> Batch:
        if batch.input.hidden is not None:  # as validation and test come
            return batch
        return self.target(self.config, (), "").posed(batch, self.spec)

    def _errors(self, output: ModelOutput, batch: Batch) -> Tensor:
        """(hidden, numbers)"""
        assert output.answered is not None
        return output.answer.float() - known(batch, PATCHES)[output.answered >= 0]

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        errors = self._errors(output, batch)
        return errors.square().mean() if self.config.loss == "mse" else errors.abs().mean()

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The squared error of standardised values."""
        return {"mse": self._errors(output, batch).square().mean() * len(batch)}

    def metrics(self) -> MetricCollection:
        members: dict[str, Metric | MetricCollection] = {name: MeanMetric() for name in NAMED}
        return MetricCollection({**members, "examples": SumMetric()}, compute_groups=False)

    def update_metrics(self, metrics: MetricCollection, output: ModelOutput, batch: Batch) -> None:
        errors = self._errors(output, batch)
        metrics["mse"].update(errors.square().mean(), weight=len(errors))
        metrics["mae"].update(errors.abs().mean(), weight=len(errors))
        metrics["examples"].update(len(batch))

    def results(self, metrics: MetricCollection, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        values = metrics.compute()
        examples = int(values.pop("examples"))
        return {**values, "loss": values[self.config.loss]}, {"examples": examples}

    def choose(self, output: ModelOutput) -> Tensor:
        """The value of a hidden patch that is farthest from its mean, in the direction in which it lies."""
        return self.answer.choose(output.answer, output.answered)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The chosen value's distance from the mean, in standard deviations, in the direction chosen."""
        return pick(*self.answer.of_hidden(output, choice))

    def choice_name(self, choice: int) -> str:
        part, number = divmod(choice if choice >= 0 else ~choice, self.spec.numbers)
        row, column = divmod(part, self.spec.columns)
        side = "above" if choice >= 0 else "below"
        return f"value {number + 1} of the patch in row {row + 1}, column {column + 1} {side} its mean"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        """Of each hidden patch its place and what it holds, standardised; `explained` names one of these values."""
        assert output.answered is not None
        choices, values = self.choose(output), output.answer.float().tolist()
        parts, columns = self.answer.place(choices)
        chosen_ones = zip(parts.tolist(), columns.tolist(), choices.tolist(), strict=True)
        found = []
        for row, (part, column, choice) in zip(output.answered.tolist(), chosen_ones, strict=True):
            told = [{**self._at(p), "values": values[number]} for p, number in enumerate(row) if number >= 0]
            place = sum(number >= 0 for number in row[:part])  # among the hidden ones
            number = column if column >= 0 else ~column
            explained = {"patch": place, "value": number, "what": self.choice_name(choice)}
            found.append({"hidden": told, "explained": explained})
        return found

    def _at(self, part: int) -> dict[str, int]:
        row, column = divmod(part, self.spec.columns)
        return {"row": row, "column": column}

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        one = described["explained"]
        return _words(described["hidden"][one["patch"]]["values"][one["value"]]), None

    def truths(self, batch: Batch) -> list[str | None]:
        """How much the hidden patches hold, on average."""
        if PATCHES not in batch.targets:
            return [None] * len(batch)
        return [_words(float(self._held(batch, row).mean())) for row in range(len(batch))]

    def _held(self, batch: Batch, row: int) -> Tensor:
        """(hidden, numbers): what the example's hidden patches hold."""
        return batch.targets[PATCHES][row][batch.input.hidden[row]].float().cpu()

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """Whether the patches' means would have been nearer."""
        return self.order(described, batch, row) > 1

    def summaries(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Summary]:
        """With the explained value alone as the truth."""
        found = super().summaries(output, choice, batch)
        if PATCHES not in batch.targets:
            return found
        told = []
        for row, one in enumerate(found):
            place = one.described["explained"]
            told.append(replace(one, true=_words(float(self._held(batch, row)[place["patch"], place["value"]]))))
        return told

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        """The mean squared error of the example's hidden patches."""
        if PATCHES not in batch.targets:
            return 0.0
        said = torch.tensor([one["values"] for one in described["hidden"]])
        return float((said - self._held(batch, row)).square().mean())


def _words(value: float) -> str:
    return f"{value:+.2f}"
