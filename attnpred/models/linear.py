"""A linear map of what is read: for forecasts the baseline that is hard to beat, and whose weights explain it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from attnpred.config.options import Modality, ModelConfig
from attnpred.config.schema import option
from attnpred.contracts import Attention, Batch, Forecast, ModelOutput, ModelSpec, pick
from attnpred.errors import UserError
from attnpred.modalities.series.batch import SeriesSpec
from attnpred.models.attention import normalise
from attnpred.models.base import Model
from attnpred.models.predicted import PredictedAttention
from attnpred.models.series import (
    Entrance,
    NormKind,
    WindowNorm,
    block_of,
    by_block,
    chosen_of,
    known_ahead,
    on_variables,
    start_even,
    undone,
)


@dataclass(kw_only=True)
class LinearConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("series",)

    norm: NormKind = option(
        "What is taken from each window of a series before, and given back to a forecast. It is its mean and "
        "deviation (standard), its last value (last), or nothing (none)."
    )
    shared: bool = option("One map for all variables of a forecast; false gives each its own.")
    dropout: float = option("Share of the moments dropped in training.", ge=0, lt=1)
    block: int | None = option(
        "Moments that count as one part where attention is measured; null takes as few as leave 64 parts at most.",
        ge=1,
        default=None,
    )


class Linear(Model):
    """Importance: what each block of moments adds to the explained value, in its direction, by the map's weights and
    through the window's level; what speaks against it has none. The forecast of a variable reads that one alone.
    """

    def __init__(self, config: LinearConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        self.config: LinearConfig = config
        read: SeriesSpec = spec.input
        self.variables, self.length = len(read.names), read.length
        try:
            self.block = block_of(read.length, config.block)
        except ValueError as error:
            raise UserError(f"model.block={config.block}: {error}") from None
        self.grid = (self.variables, self.length // self.block)
        self.enter = Entrance()
        forecast = spec.answer.forecast
        self.norm = WindowNorm(config.norm if forecast else "none")
        self.dropout = nn.Dropout(config.dropout)
        if forecast is None:
            maps = [nn.Linear(self.variables * self.length, spec.answer.width)]
        else:
            count = 1 if config.shared else len(forecast.variables)
            maps = [start_even(nn.Linear(self.length, forecast.steps * forecast.numbers)) for _ in range(count)]
        self.map = nn.ModuleList(maps)
        self.ahead = known_ahead(read, spec.answer)
        self.predicted = PredictedAttention.where_asked(config, (self.block,), self.length, spec.answer)

    def entrance(self) -> nn.Module:
        return self.enter

    def levels(self) -> list[list[nn.Module]]:
        return [[self.enter], [self.map, *([self.ahead] if self.ahead is not None else []), *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        values = self.enter(batch.input.values)[:, 0]  # (batch, variables, moments)
        normed, level = self.norm(values)
        forecast = self.spec.answer.forecast
        if forecast is None:
            answer = self.map[0](self.dropout(normed).flatten(1))
        else:
            said = self._mapped(self.dropout(normed), forecast)  # (batch, forecast variables, steps x numbers)
            said = said if self.ahead is None else said + self.ahead(batch.input)
            answer = undone(said, level, forecast)
        if not need_attention:
            return ModelOutput(answer)
        chosen = self.spec.answer.choose(answer) if choice is None else choice
        if self.predicted is not None:
            parts = values.unflatten(2, (-1, self.block)).flatten(1, 2)  # (batch, parts, moments)
            importance = self.predicted((parts,), values.mean(1), answer, None, choice=chosen)
        else:
            importance = normalise(self._contributions(values, normed, chosen).clamp(min=0), None)
        return ModelOutput(answer, Attention(importance, (), (self.grid,), importance))

    def _mapped(self, normed: Tensor, forecast: Forecast) -> Tensor:
        places = list(forecast.variables)
        read = normed if places == list(range(self.variables)) else normed[:, places]
        if len(self.map) == 1:
            found: Tensor = self.map[0](read)
            return found
        return torch.stack([one(read[:, i]) for i, one in enumerate(self.map)], 1)

    def _contributions(self, values: Tensor, normed: Tensor, choice: Tensor) -> Tensor:
        """What each part adds to what was chosen: (batch, parts), below 0 where it takes away."""
        forecast = self.spec.answer.forecast
        if forecast is None:
            weight = self.map[0].get_parameter("weight")  # (width, variables x moments)
            rows = pick(weight.T.expand(values.shape[0], -1, -1), choice)  # (batch, variables x moments)
            return by_block(rows.unflatten(1, values.shape[1:]) * normed, self.block).flatten(1)
        variable, column, sign = chosen_of(choice, forecast)
        weights = torch.stack([one.get_parameter("weight") for one in self.map])  # (maps, steps x numbers, moments)
        effect = self.norm.effect(weights.float())[
            variable if len(self.map) > 1 else torch.zeros_like(variable), column
        ]
        own = torch.tensor(forecast.variables, device=values.device)[variable]
        read = values[torch.arange(values.shape[0], device=values.device), own]  # (batch, moments)
        return on_variables(by_block(effect * read, self.block) * sign[:, None], variable, forecast, self.variables)
