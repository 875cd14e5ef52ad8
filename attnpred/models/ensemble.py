"""Several trained models whose answers, and whose attention, are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.config import schema
from attnpred.config.options import Modality, ModelConfig, Shape
from attnpred.config.schema import Invalid, option
from attnpred.contracts import AnswerSpec, Attention, Batch, Grid, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.models.base import Model

FOLDER = "members"  # in the run directory: what each member saved beside its weights
LEAST = 1e-12  # of a chance whose logarithm is taken


@dataclass(kw_only=True)
class EnsembleConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("text", "image", "words", "series", "several")  # as the members do
    answers: ClassVar[tuple[Shape, ...]] = ("whole", "parts")
    any_size: ClassVar[bool] = True

    members: dict[str, ModelConfig] = option("The models, by numbers.")
    temperatures: list[float] = option(
        "What each member's answers are divided by, as its run's calibration says; none where none was calibrated.",
        gt=0,
        default=[],
    )

    def check(self) -> None:
        if not self.members or not all(name.isdecimal() for name in self.members):
            raise Invalid("members", "must be models by numbers, such as 0 and 1")
        if self.temperatures and len(self.temperatures) != len(self.members):
            raise Invalid("temperatures", f"must be {len(self.members)}, one a member")


class Ensemble(Model):
    """Chances are averaged, numbers likewise. Importance is the mean of the members', on the parts of the first."""

    config: EnsembleConfig

    def __init__(self, config: EnsembleConfig, spec: ModelSpec, *, directory: Path | None = None) -> None:
        super().__init__(config, spec)
        if directory is None:
            raise UserError("model=ensemble: is made of trained runs; use attnpred ensemble RUN RUN")
        if spec.answer.chained:
            raise UserError("model=ensemble: whole sentences of tags cannot be averaged; use runs with task.crf=false")
        made = (
            schema.load(one._target_).restore(one, spec, directory / FOLDER / name)
            for name, one in config.members.items()
        )
        self.members = nn.ModuleList(made)
        self.temperatures = config.temperatures or [1.0] * len(self.members)

    def within(self) -> list[Model]:
        return list(self.members)  # type: ignore[arg-type]

    def entrance(self) -> nn.Module:
        return self.within()[0].entrance()

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        """No layers' weights are told, which are of different models."""
        if need_attention and choice is None:  # all have to explain the same, which their common answer tells
            output = self(batch)
            choice = self.spec.answer.choose(output.answer, output.answered)
        outputs: list[ModelOutput] = [
            member(batch, need_attention=need_attention, need_layers=False, choice=choice) for member in self.members
        ]
        answers = [one.answer.float() / heat for one, heat in zip(outputs, self.temperatures, strict=True)]
        output = ModelOutput(averaged(answers, self.spec.answer), answered=outputs[0].answered)
        if not need_attention:
            return output
        seen = [one.attention for one in outputs if one.attention is not None]
        grids = seen[0].grids
        importance = torch.stack([regridded(one.importance, one.grids, grids) for one in seen]).mean(0)
        return replace(output, attention=Attention(importance, (), grids))

    def save_assets(self, directory: Path) -> None:
        for name, member in zip(self.config.members, self.within(), strict=True):
            place = directory / FOLDER / name
            place.mkdir(parents=True, exist_ok=True)
            member.save_assets(place)

    @classmethod
    def restore(cls, config: Any, spec: ModelSpec, directory: Path) -> Self:
        return cls(config, spec, directory=directory)


def averaged(answers: Sequence[Tensor], answer: AnswerSpec) -> Tensor:
    """(batch, …, width) each -> the same: the mean, of classes and labels that of their chances."""
    several = torch.stack(list(answers))
    if answer.centred:
        return several.mean(0)
    if answer.exclusive:
        return several.log_softmax(-1).logsumexp(0) - torch.tensor(float(len(several))).log()
    return several.sigmoid().mean(0).clamp(LEAST, 1 - 1e-6).logit()


def regridded(maps: Tensor, given: tuple[Grid, ...], wanted: tuple[Grid, ...]) -> Tensor:
    """(batch, parts) of an image's regions -> (batch, parts) of other regions, with the same sums."""
    if given == wanted:
        return maps
    (own,), (other,) = given, wanted
    assert own is not None
    assert other is not None
    spread = F.interpolate(maps.unflatten(1, (1, *own)), (own[0] * other[0], own[1] * other[1]))
    return (F.adaptive_avg_pool2d(spread, other) * (own[0] * own[1]) / (other[0] * other[1])).flatten(1)
