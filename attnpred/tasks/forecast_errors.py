"""Sums of a forecast's errors over a split, beside those of forecasters that learn nothing."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from attnpred.data.future_target import Future

BINS = 240  # of absolute errors, for the width of intervals
SMALLEST, LARGEST = 1e-4, 1e3  # standard deviations
NAIVE = ("naive", "seasonal_naive", "drift")
DRAWN = 4  # windows whose forecasts are drawn


def naive(history: Tensor, steps: int, season: int) -> dict[str, Tensor]:
    """Of history, (batch, variables, moments), what forecasters say that learn nothing: (batch, variables, steps) each.

    The last value; that of the season before; and the line from the first value to the last, drawn on.
    """
    last, moments = history[..., -1:], history.shape[-1]
    season = min(season, moments)
    repeated = history[..., -season:].repeat(1, 1, -(-steps // season))[..., :steps]
    slope = (last - history[..., :1]) / max(moments - 1, 1)
    return {
        "naive": last.expand(*history.shape[:2], steps),
        "seasonal_naive": repeated,
        "drift": last + slope * torch.arange(1, steps + 1, device=history.device),
    }


class ForecastErrors(Metric):
    """Sums of each variable and step, standardised, over the values that are there; several processes add theirs."""

    full_state_update = False
    count: Tensor
    squared: Tensor
    absolute: Tensor
    relative: Tensor
    covered: Tensor
    sizes: Tensor
    pinball: Tensor
    summed_loss: Tensor
    windows: Tensor

    def __init__(self, spec: Future, quantiles: int) -> None:
        super().__init__()
        self.spec = spec
        shape = (len(spec.names), spec.steps)
        for name in ("count", "squared", "absolute", "relative", "covered", *(f"{n}_{e}" for n in NAIVE for e in "sa")):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("sizes", torch.zeros((*shape, BINS), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pinball", torch.zeros(max(quantiles, 1), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("summed_loss", "windows"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.drawn: list[dict[str, Any]] = []

    def reset(self) -> None:
        super().reset()
        self.drawn = []

    def update(
        self,
        point: Tensor,  # (batch, variables, steps)
        true: Tensor,  # the same, NaN where a value is missing
        history: Tensor,  # (batch, variables, moments)
        loss: Tensor,
        bounds: tuple[Tensor, Tensor] | None,  # the lowest and the highest quantile, where there are some
        pinball: Tensor | None,  # (quantiles,): summed
    ) -> None:
        there = true.isfinite()
        known = true.nan_to_num()
        apart = (point - known).masked_fill(~there, 0.0).double()
        self.count += there.sum(0)
        self.squared += apart.square().sum(0)
        self.absolute += apart.abs().sum(0)
        self.relative += self._relative(point, known).masked_fill(~there, 0.0).sum(0)
        for name, said in naive(history, self.spec.steps, self.spec.season).items():
            wrong = (said - known).masked_fill(~there, 0.0).double()
            getattr(self, f"{name}_s").add_(wrong.square().sum(0))
            getattr(self, f"{name}_a").add_(wrong.abs().sum(0))
        if bounds is not None:
            self.covered += ((known >= bounds[0]) & (known <= bounds[1]) & there).sum(0)
        else:
            place = bin_of(apart.abs().float())  # (batch, variables, steps)
            self.sizes.scatter_add_(2, place.permute(1, 2, 0), there.permute(1, 2, 0).double())
        if pinball is not None:
            self.pinball += pinball
        self.summed_loss += loss.double() * len(point)
        self.windows += len(point)

    def _relative(self, point: Tensor, known: Tensor) -> Tensor:
        """Twice the error as a share of both sizes, in the data's unit."""
        mean, deviation = (
            torch.tensor(v, device=point.device).view(-1, 1) for v in (self.spec.mean, self.spec.deviation)
        )
        said, true = point * deviation + mean, known * deviation + mean
        size = said.abs() + true.abs()
        return (2 * (said - true).abs() / size.clamp(min=1e-9)).double()

    def compute(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self._defaults}


def scores(sums: Mapping[str, Tensor], spec: Future) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the sums come to: scalars, and plain containers by variable and by step; no intervals of points."""
    count = sums["count"].clamp(min=1)  # (variables, steps)
    total = sums["count"].sum().clamp(min=1)
    deviation, scale = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (spec.deviation, spec.scale))
    scalars = {
        "loss": sums["summed_loss"] / sums["windows"].clamp(min=1),
        "mse": sums["squared"].sum() / total,
        "mae": sums["absolute"].sum() / total,
        "original_mse": (sums["squared"] * deviation.square()).sum() / total,
        "original_mae": (sums["absolute"] * deviation).sum() / total,
        "mase": (sums["absolute"] / scale).sum() / total,
        "smape": sums["relative"].sum() / total,
        "coverage": sums["covered"].sum() / total,
        "crps": 2 * sums["pinball"].mean() / total,
    }
    for name in NAIVE:
        scalars |= {f"{name}_mse": sums[f"{name}_s"].sum() / total, f"{name}_mae": sums[f"{name}_a"].sum() / total}
    of_variable = {key: sums[name].sum(1) / count.sum(1) for key, name in (("mse", "squared"), ("mae", "absolute"))}
    of_variable["original_mae"] = of_variable["mae"] * deviation[:, 0]
    of_variable["seasonal_naive_mse"] = sums["seasonal_naive_s"].sum(1) / count.sum(1)
    variables = [
        {"name": name, **{key: float(values[i]) for key, values in of_variable.items()}}
        for i, name in enumerate(spec.names)
    ]
    steps = {key: (sums[n].sum(0) / count.sum(0)).tolist() for key, n in (("mse", "squared"), ("mae", "absolute"))}
    details = {"variables": variables, "steps": steps, "examples": int(sums["windows"])}
    return {name: value.float() for name, value in scalars.items()}, details


def bin_of(size: Tensor) -> Tensor:
    """The bin of an absolute error."""
    share = (size.clamp(SMALLEST, LARGEST) / SMALLEST).log() / torch.tensor(LARGEST / SMALLEST).log()
    return (share * (BINS - 1)).ceil().long()


def width_of(sizes: Tensor, share: float) -> Tensor:
    """(variables, steps, bins) -> (variables, steps): what so many of the errors stay below; their bin's upper end."""
    total = sizes.sum(-1, keepdim=True).clamp(min=1)
    place = (sizes.cumsum(-1) / total < share).sum(-1).clamp(max=BINS - 1)
    return SMALLEST * (LARGEST / SMALLEST) ** (place / (BINS - 1))


def within(sizes: Tensor, width: Tensor) -> float:
    """The share of the errors that stay below `width`, (variables, steps)."""
    inside = torch.arange(BINS) <= bin_of(width)[..., None]
    return float((sizes * inside).sum() / sizes.sum().clamp(min=1))
