"""Forecasting: the next values of a series, all steps at once, as points or as quantiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import Modality, TaskConfig
from attnpred.config.schema import Invalid, option
from attnpred.console.tables import align, number, printable
from attnpred.contracts import AnswerSpec, Batch, Forecast, ModelOutput, pick
from attnpred.data.future_target import Future, FutureTarget
from attnpred.tasks.base import Task, known
from attnpred.tasks.forecast_errors import DRAWN, NAIVE, ForecastErrors, scores, width_of, within

DIGITS = ".4g"  # of a number in words
MOST_STEPS = 100_000
MEDIAN = 0.5
DRAWN_HISTORY = 3  # times the forecast's length


@dataclass(kw_only=True)
class ForecastingConfig(TaskConfig):
    """Options of forecasting."""

    reads: ClassVar[str] = "future"
    inputs: ClassVar[tuple[Modality, ...]] = ("series",)
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "loss": "min",
        "mse": "min",
        "mae": "min",
        "original_mse": "min",
        "original_mae": "min",
        "mase": "min",
        "smape": "min",
        "coverage": "max",
        "crps": "min",
        **{f"{name}_{error}": "min" for name in NAIVE for error in ("mse", "mae")},
    }
    monitor: ClassVar[str] = "mse"

    horizon: int = option("Moments that are forecast, all at once.", ge=1, le=MOST_STEPS)
    loss: Literal["mse", "mae", "huber"] = option(
        "What training makes small, of standardised values: the mean squared, the absolute or the Huber loss."
    )
    huber_delta: float = option(
        "Error, in standard deviations, above which the Huber loss grows linearly.", gt=0, default=1.0
    )
    quantiles: list[float] = option(
        "Quantiles that are forecast in place of one value, 0.5 among them, by the pinball loss.",
        gt=0,
        lt=1,
        default=[],
    )
    interval: float = option(
        "Share of the values that a forecast's interval shall hold: its width is that of validation's errors.",
        gt=0,
        lt=1,
        default=0.9,
    )
    season: int | None = option(
        "Moments after which the series repeats, for the seasonal naive forecast. With null the step tells: a day "
        "of hours, a week of days, a year of months.",
        ge=1,
        le=MOST_STEPS,
        default=None,
    )

    def check(self) -> None:
        if self.quantiles and (MEDIAN not in self.quantiles or sorted(set(self.quantiles)) != self.quantiles):
            raise Invalid("quantiles", "must rise, each another, and hold 0.5, which is the forecast itself")


class Forecasting(Task):
    Spec = Future
    scored = "how far the explained value lies from its mean, in standard deviations"
    kept_pictures = ("forecasts",)
    config: ForecastingConfig
    spec: Future

    def __init__(self, config: ForecastingConfig, spec: Future) -> None:
        super().__init__(config, spec)
        self._numbers = max(len(config.quantiles), 1)
        self._middle = config.quantiles.index(MEDIAN) if config.quantiles else 0
        self._width: Tensor | None = None  # (variables, steps) of the interval to each side, learned of validation

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> FutureTarget:
        return FutureTarget(columns, option, config.horizon, config.season)

    @property
    def answer(self) -> AnswerSpec:
        width = len(self.spec.names) * self.spec.steps * self._numbers
        forecast = Forecast(self.spec.steps, self.spec.places, self._numbers)
        return AnswerSpec(width, exclusive=False, centred=True, forecast=forecast)

    def _unfolded(self, output: ModelOutput) -> Tensor:
        """(batch, variables, steps, numbers)"""
        return output.answer.float().unflatten(1, (len(self.spec.names), self.spec.steps, self._numbers))

    def _point(self, output: ModelOutput) -> Tensor:
        """The forecast, (batch, variables, steps)"""
        return self._unfolded(output)[..., self._middle]

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        true, there = known(batch, "future"), batch.targets.get("there")
        if there is None:
            return self._loss(self._unfolded(output), true).mean()
        each = self._loss(self._unfolded(output), true.nan_to_num()) * there
        return each.sum() / there.sum().clamp(min=1)

    def _loss(self, answer: Tensor, true: Tensor) -> Tensor:
        """(batch, variables, steps, numbers), (batch, variables, steps) -> the latter's shape"""
        if self.config.quantiles:
            return self._pinball(answer, true).mean(-1)
        point = answer[..., 0]
        if self.config.loss == "huber":
            return F.huber_loss(point, true, delta=self.config.huber_delta, reduction="none")
        return F.mse_loss(point, true, reduction="none") if self.config.loss == "mse" else (point - true).abs()

    def _pinball(self, answer: Tensor, true: Tensor) -> Tensor:
        shares = torch.tensor(self.config.quantiles, device=answer.device)
        above = true[..., None] - answer
        return torch.maximum(shares * above, (shares - 1) * above)

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The squared error of standardised values."""
        true = known(batch, "future")
        return {"mse": (self._point(output) - true).square().nan_to_num().mean((1, 2)).sum()}

    def metrics(self) -> ForecastErrors:
        return ForecastErrors(self.spec, len(self.config.quantiles))

    def update_metrics(self, metrics: ForecastErrors, output: ModelOutput, batch: Batch) -> None:
        true, answer = known(batch, "future").float(), self._unfolded(output)
        history = batch.input.values.float()[:, list(self.spec.places)]
        bounds = pinball = None
        if self.config.quantiles:
            bounds = answer[..., 0], answer[..., -1]
            pinball = self._pinball(answer, true).nan_to_num().sum((0, 1, 2)).double()
        metrics.update(answer[..., self._middle], true, history, self.loss(output, batch), bounds, pinball)
        if len(metrics.drawn) < DRAWN:
            metrics.drawn += self._to_draw(history[:1], true[:1], answer[:1])

    def _to_draw(self, history: Tensor, true: Tensor, answer: Tensor) -> list[dict[str, Any]]:
        """The last variable of a batch's first window, in the data's unit: plain numbers."""
        row = len(self.spec.names) - 1
        told = {
            "history": history[..., -DRAWN_HISTORY * self.spec.steps :],
            "truth": true,
            "forecast": answer[..., self._middle],
        }
        plain = {name: _rounded(self._in_unit(values)[0, row]) for name, values in told.items()}
        bounds = [_rounded(one[0, row]) for one in self._bounds(answer.cpu()) or ()]
        return [{"name": self.spec.names[row], **plain, "bounds": bounds}]

    def results(self, metrics: ForecastErrors, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        sums = {name: value.cpu() for name, value in metrics.compute().items()}
        if learn and not self.config.quantiles:
            self._width = width_of(sums["sizes"], self.config.interval)
        scalars, details = scores(sums, self.spec)
        if not self.config.quantiles:
            scalars["coverage"] = torch.tensor(0.0 if self._width is None else within(sums["sizes"], self._width))
            scalars["crps"] = scalars["mae"]  # that of a point
        return scalars, {**details, "drawn": metrics.drawn}

    def state(self) -> dict[str, Any]:
        return {} if self._width is None else {"width": self._width.float().tolist()}

    def load_state(self, state: dict[str, Any]) -> None:
        if not state:
            return
        try:
            width = torch.tensor(state["width"], dtype=torch.float32)
        except (KeyError, TypeError, ValueError):
            raise ValueError("holds no width of intervals") from None
        if width.shape != (len(self.spec.names), self.spec.steps) or not (width > 0).all():
            raise ValueError("holds intervals of another forecast")
        self._width = width

    def choose(self, output: ModelOutput) -> Tensor:
        """The value that is farthest from its mean, of the forecast itself where there are other quantiles too."""
        if self._numbers == 1:
            return self.answer.choose(output.answer)
        found = self.answer.choose(self._point(output).flatten(1))
        place = torch.where(found < 0, ~found, found) * self._numbers + self._middle
        return torch.where(found < 0, ~place, place)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The chosen value's distance from the train part's mean, in standard deviations, in the direction chosen."""
        return pick(output.answer.float(), choice)

    def choice_name(self, choice: int) -> str:
        place = (choice if choice >= 0 else ~choice) // self._numbers
        name, step = self.spec.names[place // self.spec.steps], place % self.spec.steps + 1
        return f"{name} {'above' if choice >= 0 else 'below'} its mean at step {step}"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        answer, names = self._unfolded(output).cpu(), self.spec.names
        point = self._in_unit(answer[..., self._middle])
        bounds = self._bounds(answer)
        found: list[dict[str, Any]] = []
        for row, values in enumerate(point.tolist()):
            found.append({"forecast": dict(zip(names, values, strict=True))})
            if bounds is not None:
                ends = torch.stack([one[row] for one in bounds], -1).tolist()  # (variables, steps, 2)
                found[-1]["interval"] = {
                    name: [{"low": low, "high": high} for low, high in each]
                    for name, each in zip(names, ends, strict=True)
                }
            if self.config.quantiles:
                found[-1]["quantiles"] = self._quantiles(answer[row])
        return found

    def _quantiles(self, answer: Tensor) -> dict[str, dict[str, list[float]]]:
        """(variables, steps, quantiles) in the data's unit, by variable and quantile"""
        each = self._in_unit(answer.permute(2, 0, 1)).tolist()  # [quantile][variable][step]
        shares = [f"{share:g}" for share in self.config.quantiles]
        return {
            name: {share: rows[i] for share, rows in zip(shares, each, strict=True)}
            for i, name in enumerate(self.spec.names)
        }

    def _bounds(self, answer: Tensor) -> tuple[Tensor, Tensor] | None:
        """The interval's ends in the data's unit, (batch, variables, steps) each; None where nothing tells them."""
        if self.config.quantiles:
            return self._in_unit(answer[..., 0]), self._in_unit(answer[..., -1])
        if self._width is None:
            return None
        point = answer[..., self._middle]
        return self._in_unit(point - self._width), self._in_unit(point + self._width)

    def _in_unit(self, values: Tensor) -> Tensor:
        """(batch, variables, steps)"""
        mean, deviation = (
            torch.tensor(v, device=values.device)[:, None] for v in (self.spec.mean, self.spec.deviation)
        )
        return values * deviation + mean

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return self._words(described["forecast"]), None

    def _words(self, values: Mapping[str, Sequence[float]]) -> str:
        """First and last value of each variable."""
        return ", ".join(f"{name} {row[0]:{DIGITS}} … {row[-1]:{DIGITS}}" for name, row in values.items())

    def truths(self, batch: Batch) -> list[str | None]:
        if "future" not in batch.targets:
            return [None] * len(batch)
        rows = self._in_unit(batch.targets["future"].cpu().float()).tolist()
        return [self._words(dict(zip(self.spec.names, row, strict=True))) for row in rows]

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """More than a standard deviation apart, on average over the steps, in any variable."""
        return self.order(described, batch, row) > 1

    def order(self, described: dict[str, Any], batch: Batch, row: int) -> float:
        """The largest mean error of a variable, in standard deviations."""
        if "future" not in batch.targets:
            return 0.0
        true = self._in_unit(batch.targets["future"][row : row + 1].cpu().float())[0]
        said = torch.tensor(list(described["forecast"].values()))
        apart = (said - true).abs().nanmean(1) / torch.tensor(self.spec.deviation)
        return float(apart.nan_to_num().max())

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        """A line a variable, where there are several."""
        found = details.get("variables") or []
        if len(found) < 2:
            return []
        keys = [key for key in found[0] if key != "name"]
        rows = [[f"{split} variable", *keys]]
        rows += [[printable(one["name"]), *(number(one[key]) for key in keys)] for one in found]
        return [align(rows)]

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        """Some windows' forecasts beside the truth."""
        from attnpred.pages import lines

        told = [
            lines.Told(
                one["name"],
                np.array(one["history"], float),
                np.array(one["forecast"], float),
                truth=np.array(one["truth"], float),
                bounds=np.array(one["bounds"]) if one["bounds"] else None,
            )
            for one in details.get("drawn", ())
        ]
        return {"forecasts": lines.forecasts(told)} if told else {}


def _rounded(values: Tensor) -> list[float | None]:
    return [None if value != value else float(f"{value:.6g}") for value in values.tolist()]
