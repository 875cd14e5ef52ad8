"""What models of series share: their entrance, a norm over each window that is undone at the end, and what is known
ahead."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.contracts import AnswerSpec, Forecast
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec

NormKind = Literal["standard", "last", "none"]
SMALLEST = 1e-2  # deviation of a window, in those of the train part: a flat one is not blown up
MOST_BLOCKS = 64  # of a series, where their size is left to the model
HIDDEN = 32


class Entrance(nn.Module):
    """The values as a map of one channel, (batch, 1, variables, moments), or by moment, (batch, moments, variables)."""

    def __init__(self, *, by_moment: bool = False) -> None:
        super().__init__()
        self.by_moment = by_moment

    def forward(self, values: Tensor) -> Tensor:
        return values.transpose(1, 2) if self.by_moment else values[:, None]


class Level(NamedTuple):
    """What a norm took from each window, (batch, variables, 1) each."""

    centre: Tensor
    scale: Tensor


class WindowNorm(nn.Module):
    """Brings each window of each variable to one level, so that a series may drift; a forecast gets its level back.

    `standard` takes the window's mean and deviation (RevIN), `last` its last value (NLinear), `none` nothing.
    """

    def __init__(self, kind: NormKind) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, values: Tensor) -> tuple[Tensor, Level]:
        """(batch, variables, moments) -> the same shape, and its level"""
        values = values.float()
        if self.kind == "none":
            level = Level(values.new_zeros(()), values.new_ones(()))
            return values, level
        if self.kind == "last":
            level = Level(values[..., -1:], values.new_ones(()))
            return values - level.centre, level
        centre = values.mean(-1, keepdim=True)
        scale = (values.var(-1, keepdim=True, unbiased=False) + SMALLEST**2).sqrt()
        return (values - centre) / scale, Level(centre, scale)

    def effect(self, weight: Tensor) -> Tensor:
        """Of weights of a normalised window, (…, moments), those of the window itself, through its level too."""
        if self.kind == "none":
            return weight
        rest = 1 - weight.sum(-1, keepdim=True)  # what the level adds that the weights do not take away
        if self.kind == "standard":
            return weight + rest / weight.shape[-1]
        return torch.cat((weight[..., :-1], weight[..., -1:] + rest), -1)


def undone(answer: Tensor, level: Level, forecast: Forecast) -> Tensor:
    """(batch, forecast variables, steps x numbers) -> (batch, all of them), in float32, at the windows' level"""
    places = list(forecast.variables)
    centre, scale = (one if one.ndim == 0 else one[:, places] for one in level)
    return torch.addcmul(centre, answer.float(), scale).flatten(1)


class KnownAhead(nn.Module):
    """What the moments to come and the whole series are known to be like, as a part of each step's forecast."""

    def __init__(self, spec: SeriesSpec, forecast: Forecast) -> None:
        super().__init__()
        self.forecast = forecast
        self.hear = nn.Linear(len(spec.known) + len(spec.static), HIDDEN)
        self.tell = nn.Linear(HIDDEN, len(forecast.variables) * forecast.numbers)

    def forward(self, read: SeriesInput) -> Tensor:
        """-> (batch, forecast variables, steps x numbers)"""
        steps = self.forecast.steps
        seen = [] if read.ahead is None else [read.ahead.transpose(1, 2)]  # (batch, steps, known)
        if read.static is not None:
            seen.append(read.static[:, None].expand(-1, steps, -1))
        told = self.tell(F.gelu(self.hear(torch.cat(seen, -1))))  # (batch, steps, variables x numbers)
        each = told.unflatten(2, (len(self.forecast.variables), self.forecast.numbers))
        return each.transpose(1, 2).flatten(2)


def known_ahead(spec: SeriesSpec, answer: AnswerSpec) -> KnownAhead | None:
    """None where nothing is known ahead, or where no forecast is asked for."""
    if answer.forecast is None or not (spec.known or spec.static):
        return None
    return KnownAhead(spec, answer.forecast)


def block_of(length: int, asked: int | None) -> int:
    """Moments that a part holds together: as asked, or as few as leave `MOST_BLOCKS` parts at most.

    ValueError with a divisor near it where what is asked for does not divide the length.
    """
    divisors = [size for size in range(1, length + 1) if length % size == 0]
    if asked is None:
        return next(size for size in divisors if length // size <= MOST_BLOCKS)
    if length % asked:
        raise ValueError(f"does not divide the {length} moments; take {min(divisors, key=lambda d: abs(d - asked))}")
    return asked


class Chosen(NamedTuple):
    """Of each example's choice in a forecast, (batch,) each: the place among the forecast variables, the column among
    steps x numbers, and 1 or -1, the direction that is explained."""

    variable: Tensor
    column: Tensor
    sign: Tensor


def chosen_of(choice: Tensor, forecast: Forecast) -> Chosen:
    against = choice < 0
    place = torch.where(against, ~choice, choice)
    width = forecast.steps * forecast.numbers
    return Chosen(place // width, place % width, torch.where(against, -1.0, 1.0))


def by_block(moments: Tensor, block: int) -> Tensor:
    """(…, moments) -> (…, blocks): sums"""
    return moments.unflatten(-1, (-1, block)).sum(-1)


def on_variables(found: Tensor, place: Tensor, forecast: Forecast, variables: int) -> Tensor:
    """(batch, blocks) of one forecast variable each -> (batch, variables x blocks): 0 on the others"""
    own = torch.tensor(forecast.variables, device=found.device)[place]  # (batch,) among the input's
    whole = found.new_zeros(found.shape[0], variables, found.shape[1])
    return whole.index_put((torch.arange(found.shape[0], device=found.device), own), found).flatten(1)


def start_even(linear: nn.Linear) -> nn.Linear:
    """A forecast that begins as the window's mean: quicker than from noise, and the same from any seed."""
    nn.init.constant_(linear.weight, 1 / linear.in_features)
    nn.init.zeros_(linear.bias)
    return linear
