"""LSTM and GRU, in one direction or both, with attention pooling over their states; for texts and series."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from attnpred.config.data_options import MOST_FEATURES
from attnpred.config.options import MOST_LAYERS, Modality, ModelConfig
from attnpred.config.schema import option
from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.modalities.series.batch import SeriesInput, SeriesSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.attention import Pool, normalise, of_chosen
from attnpred.models.base import Model
from attnpred.models.dropout import ExampleDropout
from attnpred.models.moments import MomentEntrance, MomentHead
from attnpred.models.ngrams import evened, joined
from attnpred.models.predicted import PredictedAttention
from attnpred.models.series import NormKind
from attnpred.models.token_embedding import TokenEmbedding


@dataclass(kw_only=True)
class RecurrentConfig(ModelConfig):
    accepts: ClassVar[tuple[Modality, ...]] = ("text", "series")

    cell: Literal["lstm", "gru"] = option("Kind of cell.")
    width: int = option("Features of a token or moment, and of a state in each direction.", ge=4, le=MOST_FEATURES)
    depth: int = option("Layers.", ge=1, le=MOST_LAYERS)
    directions: Literal[1, 2] = option("1 reads from the first to the last, 2 from the last to the first too.")
    dropout: float = option("Share of features dropped in training, for a whole example at a time.", ge=0, lt=1)
    pooling: Literal["attention", "mean"] = option("How the states become one vector.")
    norm: NormKind = option(
        "What is taken from each window of a series before, and given back to a forecast. It is its mean and "
        "deviation (standard), its last value (last), or nothing (none).",
        default="standard",
    )
    ngrams: int | None = option(
        "Tokens of the longest run that has scores of its own for the answer; null for no such scores. They are added "
        "to what the states say of a text.",
        ge=1,
        le=100,
        default=None,
    )
    letters: int | None = option(
        "Letters of the longest groups that tokens share by their spelling; null for none. Each group has a vector, "
        "which is added to those of the tokens that hold it.",
        ge=3,
        le=100,
        default=None,
    )


class Recurrent(Model):
    """Importance: the pooling's weights on the states; of a series a part is a moment of all variables.

    With `ngrams` these are shares in what the states say, beside which each token's scores count, both by how far they
    move the answer.
    """

    def __init__(self, config: RecurrentConfig, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        read, width = spec.input, spec.answer.width
        self.embed: TokenEmbedding | MomentEntrance
        self.parted: tuple[int, int] | None = None
        if isinstance(read, SeriesSpec):
            self.embed, entering = MomentEntrance(config.norm, spec.answer), len(read.names)
        else:
            assert isinstance(read, TextSpec)
            self.embed = TokenEmbedding(read, width, config.width, ngrams=config.ngrams, letters=config.letters)
            entering = config.width
            self.parted = None if config.ngrams is None else (config.width, width)
        self.dropout = ExampleDropout(config.dropout)
        states = config.width * config.directions
        self.turns = config.directions == 2
        self.layers = nn.ModuleList(
            States(config.cell, states if i else entering, config.width, config.directions) for i in range(config.depth)
        )
        self.pool = Pool(states, config.pooling, answers=len(spec.answer.answers))
        self.head = MomentHead(states, spec)
        self.predicted = PredictedAttention.where_asked(
            config, (entering, states), states, spec.answer, knows=self.parted is not None
        )

    def entrance(self) -> nn.Module:
        return self.embed.enter if isinstance(self.embed, MomentEntrance) else self.embed

    def levels(self) -> list[list[nn.Module]]:
        return [[self.embed], *([layer] for layer in self.layers), [self.pool, self.head, *self.beside()]]

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        read = batch.input
        own, lengths, level, scores = None, None, None, None
        if isinstance(self.embed, MomentEntrance):
            assert isinstance(read, SeriesInput)
            x, level = self.embed(read)  # (batch, moments, variables)
        else:
            assert isinstance(read, TextInput)
            own, lengths = read.own(), read.lengths if read.padded else None
            x = self.embed(read)  # (batch, length, width)
            if self.parted is not None:
                x, scores = x.split(self.parted, dim=-1)
                scores = evened(scores, read.valid())
        entered = x
        turned = backwards(x.shape[1], lengths, x.device) if self.turns else None
        for layer in self.layers:
            x = self.run(layer, x if level is not None and x is entered else self.dropout(x), turned)
        x = self.dropout(x)
        pooled, share = self.pool(x, own, need_weights=need_attention)
        said = self.head(pooled, read, level)
        answer = said if scores is None else said + scores.sum(1)
        if share is None:
            return ModelOutput(answer)
        pooled, share = (of_chosen(one, self.spec.answer, answer, choice) for one in (pooled, share))
        if self.predicted is not None:
            importance = self.predicted((entered, x), pooled, answer, own, known=scores, choice=choice)
        else:
            importance = normalise(share, own)
            if scores is not None:
                importance = joined(importance, said, scores, own, exclusive=self.spec.answer.exclusive)
        return ModelOutput(answer, Attention(importance, (), (None,), share))


class States(nn.Module):
    """A layer of cells, one for each direction."""

    def __init__(self, cell: str, entering: int, width: int, directions: int) -> None:
        super().__init__()
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.cells = nn.ModuleList(kind(entering, width, batch_first=True) for _ in range(directions))

    def forward(self, x: Tensor, turned: Tensor | None) -> Tensor:
        """(batch, length, features) -> (batch, length, states of all directions); `turned` is that of `backwards`"""
        if isinstance(self.cells[0], nn.GRU) and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # it goes moment by moment there, where bf16 takes longer; of an LSTM one kernel does all moments
            with torch.autocast("cpu", enabled=False):
                return self.forward(x.to(next(self.parameters()).dtype), turned)
        forth: Tensor = self.cells[0](x)[0]
        if turned is None:
            return forth
        back = _turned(self.cells[1](_turned(x, turned))[0], turned)
        return torch.cat((forth, back), -1)


def backwards(moments: int, lengths: Tensor | None, device: torch.device) -> Tensor:
    """Places of a sequence from its last to its first, (moments,), or of each, (batch, moments); padding stays behind.

    So turned, what is padded at the end is read by the same quick cell as what is not: packing takes several times as
    long on a CPU, and waits for a GPU.
    """
    place = torch.arange(moments, device=device)
    if lengths is None:
        return place.flip(0)
    behind = lengths[:, None] - 1 - place
    return torch.where(behind >= 0, behind, place)


class Turned(torch.autograd.Function):
    """The rows of `taken`. Twice turned is not turned at all: the gradient is turned as well, and nothing is added."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.rows = rows
        return taken(x, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return Turned.apply(gradients[0], ctx.rows), None


def taken(x: Tensor, rows: Tensor) -> Tensor:
    """(batch, length, features) at `rows` of batch and length together."""
    return x.flatten(0, 1).index_select(0, rows).view_as(x)


def _turned(x: Tensor, places: Tensor) -> Tensor:
    if places.ndim == 1:
        return x.flip(1)
    begins = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
    rows = (places + begins).flatten()
    turned: Tensor = Turned.apply(x, rows) if x.requires_grad else taken(x, rows)
    return turned
