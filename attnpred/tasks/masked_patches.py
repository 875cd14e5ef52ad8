"""Masked patches: parts of images or of series are hidden and to be found, which teaches a model without labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import Modality, Shape, TaskConfig
from attnpred.config.schema import option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.data.hidden_patches import PATCHES, HiddenPatches, HiddenPatchesTarget, chosen, hide
from attnpred.tasks.base import Task, known

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
        return MetricCollection({name: MeanMetric() for name in NAMED}, compute_groups=False)

    def update_metrics(self, metrics: MetricCollection, output: ModelOutput, batch: Batch) -> None:
        errors = self._errors(output, batch)
        metrics["mse"].update(errors.square().mean(), weight=len(errors))
        metrics["mae"].update(errors.abs().mean(), weight=len(errors))

    def results(self, metrics: MetricCollection, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        values = metrics.compute()
        return {**values, "loss": values[self.config.loss]}, {"hidden": int(metrics["mse"].weight)}

    def choose(self, output: ModelOutput) -> Tensor:
        """The value of a hidden patch that is farthest from its mean, in the direction in which it lies."""
        return self.answer.choose(output.answer, output.answered)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The chosen value's distance from the mean, in standard deviations, in the direction chosen."""
        assert output.answered is not None
        part, column = self.answer.place(choice)
        row = output.answered.gather(1, part[:, None])[:, 0]
        return pick(output.answer.float()[row], column)

    def choice_name(self, choice: int) -> str:
        place = (choice if choice >= 0 else ~choice) // self.spec.numbers
        return f"{self._place(place)} {'above' if choice >= 0 else 'below'} its mean"

    def _place(self, part: int) -> str:
        row, column = divmod(part, self.spec.columns)
        return f"row {row + 1}, column {column + 1}"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        """Of each hidden patch its place and what it holds, standardised; `explained` is the number of one of them."""
        assert output.answered is not None
        choices = self.choose(output)
        parts, values = self.answer.place(choices)[0].tolist(), output.answer.float().tolist()
        found = []
        for row, part, choice in zip(output.answered.tolist(), parts, choices.tolist(), strict=True):
            places = [place for place, number in enumerate(row) if number >= 0]
            told = [{**self._at(place), "values": values[row[place]]} for place in places]
            found.append({"hidden": told, "explained": places.index(part), "what": self.choice_name(choice)})
        return found

    def _at(self, part: int) -> dict[str, int]:
        row, column = divmod(part, self.spec.columns)
        return {"row": row, "column": column}

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return described["what"], None

    def truths(self, batch: Batch) -> list[str | None]:
        return [None] * len(batch)

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        """The mean squared error of the example's hidden patches."""
        if PATCHES not in batch.targets:
            return 0.0
        true = batch.targets[PATCHES][row][batch.input.hidden[row]].float().cpu()
        said = torch.tensor([one["values"] for one in described["hidden"]])
        return float((said - true).square().mean())
