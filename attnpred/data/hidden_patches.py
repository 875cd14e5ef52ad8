"""Patches of images and of series that are taken out of sight, to be found again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnpred.contracts import Batch, Grid, InputSpec, TargetSpec
from attnpred.data.hashing import draws_of
from attnpred.data.itself_target import ItselfTarget
from attnpred.errors import UserError

PATCHES = "patches"  # the target: what all patches hold, standardised, (batch, parts, numbers)


@dataclass(frozen=True, kw_only=True)
class HiddenPatches(TargetSpec):
    """How an image or a series is cut, and its level."""

    patch: int  # pixels a side, or moments
    rows: int  # of patches in an image; variables of a series
    columns: int
    numbers: int  # that a patch holds
    mean: tuple[float, ...]  # of a channel or variable, in the unit of the input
    deviation: tuple[float, ...]

    def check(self) -> None:
        if min(self.patch, self.rows, self.columns, self.numbers) < 1:
            raise ValueError("there is no patch to find")
        if not len(self.mean) == len(self.deviation) or not all(value > 0 for value in self.deviation):
            raise ValueError("mean and deviation need a value each, deviations above 0")

    @property
    def grid(self) -> Grid:
        return self.rows, self.columns


def hide(batch: Batch, hidden: Tensor, spec: HiddenPatches) -> Batch:
    """The batch with these patches, (batch, parts) bool, hidden; what all of them hold becomes its target."""
    held = batch.input.patches(spec)
    shown = batch.input.without(hidden, "mask", spec, spec.grid)
    return replace(batch.reading(replace(shown, hidden=hidden)), targets={**batch.targets, PATCHES: held})


def chosen(draws: Tensor, share: float) -> Tensor:
    """(batch, parts) bool: of every example the same number of parts, those with the smallest draws."""
    parts = draws.shape[1]
    count = min(max(round(share * parts), 1), parts - 1) if parts > 1 else 1
    return torch.zeros_like(draws, dtype=torch.bool).scatter(1, draws.argsort(1)[:, :count], True)


class HiddenPatchesTarget(ItselfTarget[HiddenPatches]):
    """Patches of the image, or of the series, itself."""

    def __init__(self, columns: Sequence[str], option: str, *, share: float, patch: int) -> None:
        super().__init__(columns, option)
        self.share, self.patch = share, patch

    def of_inputs(self, specs: Mapping[str, InputSpec]) -> HiddenPatches:
        (spec,) = specs.values()
        known: Any = spec
        sides = (known.height, known.width) if known.modality == "image" else (known.length,)
        for side in sides:
            if side % self.patch:
                divisors = [size for size in range(1, side + 1) if side % size == 0]
                nearest = min(divisors, key=lambda size: abs(size - self.patch))
                raise UserError(
                    f"task.patch={self.patch}: does not divide {' x '.join(map(str, sides))}; take {nearest}"
                )
        if known.modality == "image":
            return HiddenPatches(
                patch=self.patch,
                rows=known.height // self.patch,
                columns=known.width // self.patch,
                numbers=known.channels * self.patch**2,
                mean=known.mean,
                deviation=tuple(max(value, 1e-3) for value in known.std),
            )
        variables = len(known.names)
        return HiddenPatches(
            patch=self.patch,
            rows=variables,
            columns=known.length // self.patch,
            numbers=self.patch,
            mean=known.mean[:variables],
            deviation=known.deviation[:variables],
        )

    def posed(self, batch: Batch, spec: HiddenPatches) -> Batch:
        return hide(batch, chosen(draws_of(batch.ids, spec.rows * spec.columns), self.share), spec)
