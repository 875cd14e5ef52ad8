"""A recurrent encoder-decoder that attends to what was read before each token (Bahdanau et al. 2015).

Additive attention asks by a small network, multiplicative by a product (Luong et al. 2015).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.contracts import Batch, ModelSpec
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.decoding import shifted
from attnpred.models.dropout import Dropout
from attnpred.models.generating import GeneratingModel, Memory
from attnpred.models.positions import EMBEDDING_DEVIATION
from attnpred.models.recurrent import States, backwards

Hidden = list[tuple[Tensor, ...]]  # of each layer its state, and of an LSTM its cell too: (rows, width) each


class RecurrentSeq2seq(GeneratingModel):
    """The encoder reads in both directions. The alignment is the attention's weights: there is one head."""

    def __init__(self, config: Any, spec: ModelSpec) -> None:
        """`config`: the options of `seq2seq`."""
        super().__init__(config, spec)
        source, width = spec.input, config.width
        assert isinstance(source, TextSpec)
        self.table = nn.Embedding(spec.answer.width, width)
        shares = config.tied and self.generation.shared
        self.source_table = None if shares else nn.Embedding(source.vocab_size, width)
        for table in (self.table, self.source_table):
            if table is not None:
                nn.init.trunc_normal_(table.weight, std=EMBEDDING_DEVIATION)
        self.enter = nn.Identity()
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(
            States(config.cell, 2 * width if layer else width, width, 2) for layer in range(config.depth)
        )
        kind = nn.LSTMCell if config.cell == "lstm" else nn.GRUCell
        layers = config.layers_of_decoder()
        self.start = nn.Linear(2 * width, layers * width)
        self.attention = Alignment(config.attention, width, 2 * width)
        self.decoder = nn.ModuleList(kind(width if layer else 3 * width, width) for layer in range(layers))
        self.readout = nn.Linear(4 * width, width)
        self.head = None if config.tied else nn.Linear(width, spec.answer.width, bias=False)

    def entrance(self) -> nn.Module:
        return self.enter

    def levels(self) -> list[list[nn.Module]]:
        tables: list[nn.Module] = [self.table, *([] if self.source_table is None else [self.source_table])]
        above: list[nn.Module] = [self.readout, *([] if self.head is None else [self.head])]
        return [tables, *([layer] for layer in self.encoder), [self.start, self.attention, *self.decoder], above]

    def encode(self, batch: Batch, *, need_weights: bool = False) -> Memory:
        read = batch.input
        assert isinstance(read, TextInput)
        valid = read.valid()
        table = self.table if self.source_table is None else self.source_table
        x = self.enter(table(read.tokens))  # (batch, source, width)
        turned = backwards(x.shape[1], read.lengths if read.padded else None, x.device)
        for layer in self.encoder:
            x = self.run(layer, self.dropout(x), turned)
        x = self.dropout(x)  # (batch, source, 2 x width)
        kept = x if valid is None else x * valid[..., None]
        mean = kept.sum(1) / read.lengths[:, None]
        return Memory(x, valid, state=self.start(mean).tanh())

    def hidden(self, memory: Memory, each: int) -> Hidden:
        """The decoder's states before the first token, with so many rows a sentence."""
        states = memory.state.repeat_interleave(each, 0).chunk(len(self.decoder), dim=1)
        lstm = isinstance(self.decoder[0], nn.LSTMCell)
        return [(state, torch.zeros_like(state)) if lstm else (state,) for state in states]

    def decode(
        self, tokens: Tensor, memory: Memory, *, need_weights: bool = False, need_own_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        vectors = self.dropout(self.table(shifted(tokens, self.generation)))  # (batch, steps, width)
        known, hidden = self.attention.known(memory.features), self.hidden(memory, 1)
        outs, rows = [], []
        for vector in vectors.unbind(1):
            out, weights, hidden = self.next(vector, memory.features, known, memory.keep, hidden)
            outs.append(out)
            rows.append(weights)
        alignment = torch.cat(rows, 1) if need_weights else None
        return self.logits(torch.stack(outs, 1)), alignment

    def next(
        self, vector: Tensor, features: Tensor, known: Tensor, keep: Tensor | None, hidden: Hidden
    ) -> tuple[Tensor, Tensor, Hidden]:
        """A step: of (rows, width) what is read out, (rows, 4 x width), weights, (sentences, each, source), states.

        The rows of a sentence follow one another.
        """
        query = hidden[-1][0].view(len(features), -1, vector.shape[1])
        weights = self.attention(query, known, keep)
        context = (weights.to(features.dtype) @ features).flatten(0, 1)  # (rows, 2 x width)
        x, after = torch.cat((vector, context), 1), []
        for cell, state in zip(self.decoder, hidden, strict=True):
            found = cell(x, state if len(state) == 2 else state[0])
            after.append(found if isinstance(found, tuple) else (found,))
            x = self.dropout(after[-1][0])
        return torch.cat((x, context, vector), 1), weights, after

    def logits(self, out: Tensor) -> Tensor:
        """(…, 4 x width) -> (…, vocabulary)"""
        x = self.dropout(self.readout(out).tanh())
        return F.linear(x, self.table.weight if self.head is None else self.head.weight)

    def begin(self, memory: Memory, each: int) -> "RecurrentSteps":
        return RecurrentSteps(self, memory, each)


class Alignment(nn.Module):
    """How much of each place is read: softmax of v tanh(W query + U place), or of (W query) place."""

    def __init__(self, kind: str, width: int, features: int) -> None:
        super().__init__()
        self.additive = kind == "additive"
        self.query = nn.Linear(width, width if self.additive else features, bias=False)
        self.place = nn.Linear(features, width) if self.additive else None
        self.tell = nn.Linear(width, 1, bias=False) if self.additive else None

    def known(self, features: Tensor) -> Tensor:
        """Of (sentences, source, features) what every step needs."""
        return features if self.place is None else self.place(features)

    def forward(self, query: Tensor, known: Tensor, keep: Tensor | None) -> Tensor:
        """query (sentences, rows, width) -> (sentences, rows, source) float32"""
        asked = self.query(query)
        if self.tell is None:
            scores = asked @ known.transpose(1, 2).to(asked.dtype) * known.shape[2] ** -0.5
        else:
            scores = self.tell((asked[:, :, None] + known[:, None]).tanh())[..., 0]
        scores = scores.float() if keep is None else scores.float().masked_fill(~keep[:, None], -torch.inf)
        return scores.softmax(-1)


class RecurrentSteps:
    """The decoder at work on some hypotheses: its states are all that it keeps of the tokens so far."""

    def __init__(self, model: RecurrentSeq2seq, memory: Memory, each: int) -> None:
        self.model = model
        self.features, self.attended = memory.features, memory.keep
        self.known = model.attention.known(memory.features)
        self.hidden = model.hidden(memory, each)

    def step(self, tokens: Tensor) -> Tensor:
        model = self.model
        out, _, self.hidden = model.next(model.table(tokens), self.features, self.known, self.attended, self.hidden)
        return model.logits(out)

    def keep(self, rows: Tensor, sentences: Tensor | None) -> None:
        self.hidden = [tuple(state[rows] for state in layer) for layer in self.hidden]
        if sentences is not None:
            self.features, self.known = self.features[sentences], self.known[sentences]
            self.attended = None if self.attended is None else self.attended[sentences]
