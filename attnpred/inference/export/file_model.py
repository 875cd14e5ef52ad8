"""An exported file as a model of attnpred: it is asked for answers, and explained by what needs no gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attnpred.contracts import Attention, Batch, ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.inference.export.described import Described
from attnpred.inference.export.wrapped import tensors_of
from attnpred.models.base import Model
from attnpred.models.chain import Chain
from attnpred.models.decoding import GREEDY, Decoding, Hypotheses, decode, most_steps

Ask = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]  # the file's inputs by name -> its outputs in their order


class FileModel(Model):
    """It tells no layers, and explains its usual choice alone."""

    def __init__(self, config: Any, spec: ModelSpec, ask: Ask, about: Described) -> None:
        super().__init__(config, spec)
        self.ask, self.about = ask, about

    def entrance(self) -> nn.Module:
        raise UserError("an export has no gradients; take the explainer attention or occlusion, or the run itself")

    @torch.no_grad()
    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        if self.spec.answer.generation is not None and batch.given is None:
            batch = replace(batch, given=self.generate(batch).tokens[:, 0])
        given = tensors_of(batch)
        asked = {name: _as(given[name], values["type"]) for name, values in self.about.inputs.items()}
        found = dict(zip(self.about.outputs, self.ask(asked), strict=True))
        answered, numbers = found.get("answered"), found.get("numbers")
        chain = None if numbers is None or answered is None else Chain(numbers, found["steps"], answered)
        attention = Attention(found["importance"], (), self.about.grids, steps=found.get("alignment"))
        return ModelOutput(found["answer"], attention, answered, chain, batch.given)

    def generate(self, batch: Batch, decoding: Decoding = GREEDY) -> Hypotheses:
        """Answers that are sequences, token by token."""
        generation, own = self.spec.answer.generation, batch.input.own()
        assert generation is not None
        parts = batch.input.parts(self.about.grids[0])
        sources = torch.full_like(batch.ids, parts) if own is None else own.sum(1)
        most = most_steps(sources, generation)
        return decode(lambda each: FileSteps(self, batch, each), most, generation, decoding)


class FileSteps:
    """The file at work on some hypotheses. It keeps nothing between steps: every step reads all tokens again."""

    def __init__(self, model: FileModel, batch: Batch, each: int) -> None:
        self.model = model
        self.batch = batch.rows(torch.arange(len(batch)).repeat_interleave(each))
        self.said: Tensor | None = None  # (rows, steps) after the token that stands before the first

    def step(self, tokens: Tensor) -> Tensor:
        if self.said is None:
            self.said = tokens.new_zeros(len(tokens), 0)
        else:
            self.said = torch.cat((self.said, tokens[:, None]), 1)
        next_one = tokens.new_zeros(len(tokens), 1)  # asked for, whatever stands there
        output = self.model(replace(self.batch, given=torch.cat((self.said, next_one), 1)))
        return output.answer[:, -1]

    def keep(self, rows: Tensor, sentences: Tensor | None) -> None:
        assert self.said is not None
        self.batch, self.said = self.batch.rows(rows), self.said[rows]


def _as(value: Tensor, kind: str) -> Tensor:
    wanted = getattr(torch, kind, None)
    if not isinstance(wanted, torch.dtype):
        raise UserError(f"{kind}: no number format that is known; export the run again")
    return value.to(wanted).contiguous()
