"""Series in a batch, and what a model must know of them."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.contracts import Grid, Input, InputSpec, later, numbered

BLUR = 8  # a blurred series keeps about an eighth of its length's detail


@dataclass(frozen=True, kw_only=True)
class SeriesSpec(InputSpec):
    removals: ClassVar[tuple[str, ...]] = ("mask", "last", "blur")

    modality: str = "series"
    length: int  # moments that a model reads
    names: tuple[str, ...]  # of the variables
    mean: tuple[float, ...]  # a variable, over the train part
    deviation: tuple[float, ...]
    step: str = later("")  # from one moment to the next, such as 3600s or 1mo; empty where there are no times
    # Columns that are known for the moments to come too, and those that hold for a whole series
    known: tuple[str, ...] = later(())
    static: tuple[str, ...] = later(())
    steps: int = later(0)  # moments to come for which they are known

    def check(self) -> None:
        if self.length < 1 or not self.names or len(set(self.names)) < len(self.names) or self.steps < 0:
            raise ValueError("it has no moments or no variables, or two of one name")
        numbers = len(self.names) + len(self.known) + len(self.static)
        if not len(self.mean) == len(self.deviation) == numbers:
            raise ValueError("mean and deviation need a value for each variable")
        tensors = torch.tensor(self.mean), torch.tensor(self.deviation)
        if not all(t.isfinite().all() for t in tensors) or not (tensors[1] > 0).all():
            raise ValueError("mean or deviation is not a finite number, or a deviation is not above 0")


@dataclass(frozen=True, kw_only=True)
class SeriesInput(Input):
    """Standardised values. A missing one is the last before it, or the mean where there is none.

    Parts are moments, of all variables together, where a model has no grid; else variables × blocks of moments.
    """

    values: Tensor  # (batch, variables, moments) float32
    ahead: Tensor | None = None  # (batch, known, moments to come): what is known of them
    static: Tensor | None = None  # (batch, static)
    hidden: Tensor | None = None  # (batch, variables x blocks) bool: patches taken out of sight, to be found
    last: Tensor | None = None  # (batch,) int64: seconds since 1970 of the last moment, where there are times

    def __len__(self) -> int:
        return len(self.values)

    def own(self) -> None:
        return None

    def answered(self) -> Tensor | None:
        return None if self.hidden is None else numbered(self.hidden)

    def patches(self, cut: Any) -> Tensor:
        """(batch, variables x blocks, moments): what each block of `cut.patch` moments holds, of each variable."""
        return self.values.float().unflatten(2, (-1, cut.patch)).flatten(1, 2)

    def parts(self, grid: Grid) -> int:
        return self.values.shape[2] if grid is None else grid[0] * grid[1]

    def evidence_on(self, grid: Grid) -> Tensor | None:
        return None

    def described(self) -> str:
        _, variables, moments = self.values.shape
        return f"{len(self)} series of {variables} variables and {moments} moments"

    def statistics(self, reader: Any) -> dict[str, Tensor]:
        """Of the standardised values: their level, how far they spread, how they climb, and how rough they are."""
        values = self.values.float()
        half = values.shape[2] // 2
        return {
            "level": values.mean((1, 2)),
            "spread": values.flatten(1).std(1).nan_to_num(),
            "climb": (values[:, :, half:].mean(2) - values[:, :, : half or 1].mean(2)).mean(1),
            "roughness": values.diff(dim=2).abs().flatten(1).mean(1).nan_to_num(),
        }

    def without(self, gone: Tensor, how: str, spec: SeriesSpec, grid: Grid) -> Self:
        """`mask` puts the variable's mean, `last` the value before, `blur` a mean over time around the moment."""
        shape = self.values.shape[1:]
        blocks = gone.unflatten(1, grid or (1, shape[1])).float()[:, None]  # (batch, 1, variables or 1, blocks)
        hidden = F.interpolate(blocks, shape, mode="nearest")[:, 0].bool()  # (batch, variables, moments)
        return replace(self, values=torch.where(hidden, self._instead(how, hidden), self.values))

    def _instead(self, how: str, hidden: Tensor) -> Tensor:
        """What is read where a moment is gone: a number, or (batch, variables, moments)."""
        if how == "mask":
            return self.values.new_zeros(())
        if how == "last":
            return _last_kept(self.values, hidden)
        side = self.values.shape[2] // BLUR
        return F.avg_pool1d(self.values, 2 * side + 1, 1, side, count_include_pad=False)


def _last_kept(values: Tensor, hidden: Tensor) -> Tensor:
    """Of each moment the last value that is not hidden, else the first such behind it, else 0."""
    place = torch.arange(values.shape[2], device=values.device).expand_as(values)
    before = torch.where(hidden, -1, place).cummax(2).values
    first = torch.where(hidden, values.shape[2], place).amin(2, keepdim=True)
    chosen = torch.where(before >= 0, before, first)
    found = values.gather(2, chosen.clamp(max=values.shape[2] - 1))
    return torch.where(chosen < values.shape[2], found, 0.0)
