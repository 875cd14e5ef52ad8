"""A transformer encoder of series, cut into patches of time (after PatchTST, Nie et al. 2023)."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.contracts import AnswerSpec, Attention, Batch, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.modalities.series.batch import SeriesSpec
from attnpred.models.attention import Head, Pool, normalise, of_chosen, pass_through
from attnpred.models.base import Model
from attnpred.models.dropout import ExampleDropout
from attnpred.models.hidden import Hidden, patch_of, refuse_beside_hidden
from attnpred.models.layer import Layer, initialise
from attnpred.models.positions import EMBEDDING_DEVIATION, Positions
from attnpred.models.predicted import PredictedAttention
from attnpred.models.series import (
    Entrance,
    Level,
    WindowNorm,
    block_of,
    by_block,
    chosen_of,
    known_ahead,
    on_variables,
    start_even,
    undone,
)


class SeriesTransformer(Model):
    """Parts are blocks of moments, as long as the stride, of each variable; with `mixing` of all variables together.

    Importance of a forecast: what the explained value is due to. That is the shares of the window's level and of the
    shortcut, which are linear, and what the layers add; the latter goes to the patches that the head read, half by
    their own path and half through the last layer's weights. What speaks against the value has none.

    Of another answer: what the pooling takes, pushed through the last layer where it takes the mean.
    """

    def __init__(self, config: Any, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        read: SeriesSpec = spec.input
        _refuse_text(config)
        self.variables, self.length = len(read.names), read.length
        self.stride, self.patch = _sizes(config, self.length, spec.answer)
        self.blocks = self.length // self.stride
        self.mixing = bool(config.mixing)
        self.rows = 1 if config.mixing else self.variables  # of parts
        self.grid = (self.rows, self.blocks)
        self.enter = Entrance()
        self.embed = nn.Linear(self.patch * (self.variables if config.mixing else 1), config.width)
        head_dim = config.width // config.heads
        self.positions = Positions(config.positions, width=config.width, head_dim=head_dim, length=self.blocks)
        self.dropout = ExampleDropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        forecast = spec.answer.forecast
        self.norm = WindowNorm(config.norm if forecast else "none")
        hidden = spec.answer.shape == "hidden"
        self.pool: Pool | Hidden | None = (
            None if forecast else Pool(config.width, config.pooling, answers=len(spec.answer.answers))
        )
        if hidden:
            refuse_beside_hidden(config, spec)
            self.pool = Hidden(config.width, spec.answer, table_width=None)
        self.final = nn.LayerNorm(config.width) if forecast else None
        # each variable by itself would look like any other, where one answer is made of all
        apart = forecast is None and not config.mixing
        # which variable a row is of; a list of one, so that it can be frozen as a module
        self.which = nn.ParameterList([torch.empty(self.variables, 1, config.width)] if apart else [])
        self.head: Any = nn.Identity()
        if forecast is None and not hidden:
            self.head = Head(config.width, spec.answer)
        elif forecast is not None:
            numbers = forecast.steps * forecast.numbers * (len(forecast.variables) if config.mixing else 1)
            self.head = nn.Linear(self.blocks * config.width, numbers)
        initialise(self, len(self.layers))
        nn.init.trunc_normal_(self.embed.weight, std=EMBEDDING_DEVIATION * self.embed.in_features**-0.5)
        for rows in self.which:
            nn.init.trunc_normal_(rows, std=EMBEDDING_DEVIATION)
        self.shortcut: nn.Linear | None = None
        if forecast is not None and config.shortcut:
            self.shortcut = start_even(nn.Linear(self.length, forecast.steps * forecast.numbers))
            nn.init.zeros_(self.head.weight)  # the layers begin with nothing to add
        self.ahead = known_ahead(read, spec.answer)
        widths = (config.width, config.width)
        self.predicted = PredictedAttention.where_asked(config, widths, config.width, spec.answer)

    def entrance(self) -> nn.Module:
        return self.enter

    def levels(self) -> list[list[nn.Module]]:
        layers = ([layer] for layer in self.layers)
        ends = (self.pool, self.final, self.head, self.shortcut, self.ahead)
        return [
            [self.embed, self.positions, self.which],
            *layers,
            [*(one for one in ends if one is not None), *self.beside()],
        ]

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
        entered = self.positions(self.embed(self._patches(normed)))  # (batch x rows, blocks, width)
        for rows in self.which:
            entered = (entered.unflatten(0, (-1, self.variables)) + rows).flatten(0, 1)
        rotation = self.positions.rotation(self.blocks, entered.device, before=0)
        x = self.dropout(entered)
        weights: list[Tensor] = []
        kind = None if self.pool is None else self.pool.kind
        flows = self.predicted is None and kind != "attention"
        for layer in self.layers:
            needed = need_attention and (need_layers or (layer is self.layers[-1] and flows))
            x, attended = self.run(layer, x, keep=None, rotation=rotation, need_weights=needed)
            if attended is not None:
                weights.append(attended)  # (batch x rows, heads, blocks, blocks)
        if isinstance(self.pool, Hidden):
            return self._found(self.pool, x, batch, weights, choice, need_layers=need_layers)
        if self.pool is not None:
            pooled, share = self.pool(self._together(x), None, need_weights=need_attention)
            answer = self.head(pooled)
            if share is not None:
                pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
            if share is not None and kind != "attention" and flows:
                share = self._through(share, weights[-1])
        else:
            answer, z = self._forecast(batch, normed, level, x)
            pooled, share = z.mean((1, 2)), None
        if not need_attention:
            return ModelOutput(answer)
        chosen = self.spec.answer.choose(answer) if choice is None else choice
        read = share if self.pool is not None else self._read(z, level, chosen)[0]
        assert read is not None
        if self.predicted is not None:
            features = self._together(entered), self._together(x)
            importance = self.predicted(features, pooled, answer, None, choice=chosen)
        elif self.pool is None:
            importance = self._of_forecast(values, level, z, weights[-1], chosen)
        else:
            importance = normalise(self._spread(read), None)
        layers = tuple(self._whole(w) for w in weights) if need_layers else ()
        return ModelOutput(answer, Attention(importance, layers, (self.grid,), normalise(read, None)))

    def _found(
        self, pool: Hidden, x: Tensor, batch: Batch, weights: list[Tensor], choice: Tensor | None, *, need_layers: bool
    ) -> ModelOutput:
        """What the hidden patches hold; with attention where the layers were asked for their weights."""
        output = pool(self._together(x), batch, None)
        if not weights:
            return output
        importance, read = pool.importance(output, choice, None, lambda share: self._through(share, weights[-1]))
        layers = tuple(self._whole(w) for w in weights) if need_layers else ()
        return replace(output, attention=Attention(importance, layers, (self.grid,), read))

    def _patches(self, normed: Tensor) -> Tensor:
        """(batch, variables, moments) -> (batch x rows, blocks, numbers); the last value fills up the last ones"""
        longer = F.pad(normed, (0, self.patch - self.stride), mode="replicate")
        patches = longer.unfold(2, self.patch, self.stride)  # (batch, variables, blocks, patch)
        return patches.transpose(1, 2).flatten(2) if self.mixing else patches.flatten(0, 1)

    def _together(self, x: Tensor) -> Tensor:
        """(batch x rows, blocks, width) -> (batch, parts, width)"""
        return x.unflatten(0, (-1, self.rows)).flatten(1, 2)

    def _forecast(self, batch: Batch, normed: Tensor, level: Level, x: Tensor) -> tuple[Tensor, Tensor]:
        """The answer, and what the head reads of it, (batch, rows that are forecast, blocks, width)."""
        forecast, final = self.spec.answer.forecast, self.final
        assert forecast is not None
        assert final is not None
        places = list(forecast.variables)
        rows = x.unflatten(0, (-1, self.rows))
        if not self.mixing and places != list(range(self.variables)):
            rows = rows[:, places]
        z = final(rows)
        said = self.head(z.flatten(2))
        if self.mixing:
            said = said.view(z.shape[0], len(places), -1)  # (batch, forecast variables, steps x numbers)
        if self.shortcut is not None:
            said = said + self.shortcut(normed[:, places])
        if self.ahead is not None:
            said = said + self.ahead(batch.input)
        return undone(said, level, forecast), z

    def _read(self, z: Tensor, level: Level, choice: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the head takes of each position for what was chosen, (batch, parts); that of the chosen row alone,
        (batch, blocks), which sums to 1; and how much the layers add to the chosen value, (batch,)."""
        forecast = self.spec.answer.forecast
        assert forecast is not None
        chosen, here = chosen_of(choice, forecast), torch.arange(z.shape[0], device=z.device)
        width = forecast.steps * forecast.numbers
        row = chosen.column + (chosen.variable * width if self.mixing else 0)
        weight = self.head.weight.float()[row].view(z.shape[0], self.blocks, -1)
        own = z[here, torch.zeros_like(chosen.variable) if self.mixing else chosen.variable].float()
        added = (weight * own).sum(-1) * chosen.sign[:, None]  # (batch, blocks)
        share = normalise(added.clamp(min=0), None)
        place = torch.tensor(forecast.variables, device=z.device)[chosen.variable]
        scale = level.scale if level.scale.ndim == 0 else level.scale[here, place, 0]
        whole = share if self.mixing else on_variables(share, chosen.variable, forecast, self.variables)
        return whole, share, (added.sum(1) * scale).abs()

    def _of_forecast(self, values: Tensor, level: Level, z: Tensor, weights: Tensor, choice: Tensor) -> Tensor:
        forecast = self.spec.answer.forecast
        assert forecast is not None
        chosen, here = chosen_of(choice, forecast), torch.arange(z.shape[0], device=z.device)
        _, share, moved = self._read(z, level, choice)
        place = torch.tensor(forecast.variables, device=z.device)[chosen.variable]
        last = weights.unflatten(0, (-1, self.rows))[here, torch.zeros_like(place) if self.mixing else place]
        flowed = self._over_blocks(normalise(share + pass_through(share, last.float()), None))
        rows = (
            values.new_zeros(z.shape[0], self.length) if self.shortcut is None else self.shortcut.weight[chosen.column]
        )
        direct = by_block(self.norm.effect(rows.float()) * values[here, place], self.stride) * chosen.sign[:, None]
        found = direct.clamp(min=0) + moved[:, None] * flowed  # (batch, blocks)
        return normalise(found if self.mixing else on_variables(found, chosen.variable, forecast, self.variables), None)

    def _through(self, share: Tensor, weights: Tensor) -> Tensor:
        """What is pooled, (batch, parts), pushed through the last layer's weights."""
        return pass_through(share.unflatten(1, (self.rows, self.blocks)).flatten(0, 1), weights).view_as(share)

    def _spread(self, share: Tensor) -> Tensor:
        """(batch, parts) of patches -> of blocks"""
        return self._over_blocks(share.unflatten(1, (self.rows, self.blocks))).flatten(1)

    def _over_blocks(self, share: Tensor) -> Tensor:
        """(…, patches) -> (…, blocks): a patch's share lies evenly on the blocks that it holds"""
        held = -(-self.patch // self.stride)
        moved = [F.pad(share, (by, 0))[..., : self.blocks] for by in range(held)]
        rest = [F.pad(share[..., self.blocks - by :].sum(-1, keepdim=True), (self.blocks - 1, 0)) for by in range(held)]
        return torch.stack([*moved, *rest[1:]]).sum(0) / held

    def _whole(self, weights: Tensor) -> Tensor:
        """(batch x rows, heads, blocks, blocks) -> (batch, heads, parts, parts): no row looks at another"""
        apart = weights.unflatten(0, (-1, self.rows))  # (batch, rows, heads, blocks, blocks)
        whole = torch.diag_embed(
            apart.permute(0, 2, 3, 4, 1), dim1=2, dim2=4
        )  # (batch, heads, rows, blocks, rows, blocks)
        return whole.flatten(4, 5).flatten(2, 3)


def _sizes(config: Any, length: int, answer: AnswerSpec) -> tuple[int, int]:
    """Stride and length of a patch."""
    if answer.patch is not None:
        if config.mixing or config.stride not in (None, answer.patch):
            what = "mixing=true" if config.mixing else f"stride={config.stride}"
            raise UserError(
                f"model.{what}: the task hides patches of {answer.patch} moments of a variable; take "
                "model.mixing=false and model.stride=null"
            )
        return answer.patch, patch_of(config.patch, answer) or answer.patch
    try:
        stride = block_of(length, config.stride)
    except ValueError as error:
        raise UserError(f"model.stride={config.stride}: {error}") from None
    patch = config.patch or min(2 * stride, length)
    if not stride <= patch <= length:
        raise UserError(f"model.patch={patch}: must be from the stride, {stride}, to the {length} moments; change it")
    return stride, patch


def _refuse_text(config: Any) -> None:
    for name in ("ngrams", "letters"):
        if (given := getattr(config, name)) is not None:
            raise UserError(f"model.{name}={given}: series have no tokens; take null, or a text")
    if (kind := config.adapts()) is not None:
        raise UserError(f"model.adapter={kind}: is for texts and images; set it, and model.lora_rank, to null")
    if config.pooling == "cls":
        raise UserError("model.pooling=cls: is for texts and images; take attention or mean for a series")
