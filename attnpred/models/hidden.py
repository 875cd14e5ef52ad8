"""Answers for hidden parts alone: what stands in a model in place of its pooling and its head."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.contracts import AnswerSpec, Batch, ModelOutput, ModelSpec, numbered
from attnpred.errors import BadInput, UserError
from attnpred.models.attention import normalise
from attnpred.models.positions import EMBEDDING_DEVIATION


class Hidden(nn.Module):
    """Takes the features of hidden parts and answers what each was.

    Only those are multiplied with the vocabulary, whose table is that of the tokens' own vectors where there is one.
    The importance is that for one hidden part: where its row of the last layer's weights lies, averaged over heads.
    Hidden parts tell nothing, and have no share in it.
    """

    kind: ClassVar[str] = "hidden"

    def __init__(self, width: int, answer: AnswerSpec, *, table_width: int | None) -> None:
        """`table_width`: features of tokens' own vectors, with which they are compared; None of parts of numbers."""
        super().__init__()
        self.answer = answer
        out = table_width or width
        self.norm = nn.LayerNorm(width)
        self.turn = nn.Linear(width, out)
        self.turned_norm = nn.LayerNorm(out)
        self.bias = nn.Parameter(torch.zeros(answer.width)) if table_width else None
        self.say = None if table_width else nn.Linear(out, answer.width)
        if table_width:
            # so that the first answers are near to even, however large the tokens' vectors are
            nn.init.constant_(self.turned_norm.weight, 1 / (EMBEDDING_DEVIATION * out**0.5))

    def forward(self, x: Tensor, batch: Batch, table: Tensor | None) -> ModelOutput:
        """x (batch, parts, width), table (tokens, table width) -> the answer without attention, (hidden, width)"""
        hidden = hidden_parts(batch)
        found = self.turned_norm(F.gelu(self.turn(self.norm(x[hidden]))))
        if self.say is not None:
            return ModelOutput(self.say(found), answered=numbered(hidden))
        assert table is not None
        return ModelOutput(F.linear(found, table[: self.answer.width], self.bias), answered=numbered(hidden))

    def importance(
        self, output: ModelOutput, choice: Tensor | None, own: Tensor | None, flow: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The importance, and what is read of each place; `flow` pushes the latter through the last layer's weights."""
        assert output.answered is not None
        chosen = self.answer.choose(output.answer, output.answered) if choice is None else choice
        part, _ = self.answer.place(chosen)
        read = F.one_hot(part, output.answered.shape[1]).float()
        telling = output.answered < 0 if own is None else own & (output.answered < 0)
        # where all is hidden, places are all there is to go by
        rest = torch.ones_like(telling) if own is None else own
        telling = torch.where(telling.any(1, keepdim=True), telling, rest)
        return normalise(flow(read), telling), read


def hidden_parts(batch: Batch) -> Tensor:
    """Which parts of a batch are hidden, (batch, parts) bool; BadInput where new input hides none."""
    hidden: Tensor | None = batch.input.hidden
    if hidden is not None and batch.targets:
        return hidden
    bare = batch.ids[:1] if hidden is None else batch.ids[~hidden.any(1)]
    if len(bare):
        raise BadInput("no word is hidden in it; write [MASK] for one that is to be found", int(bare.min()))
    assert hidden is not None
    return hidden


def patch_of(asked: int | None, answer: AnswerSpec) -> int | None:
    """The patch that a model cuts: as asked, unless parts of another size are hidden."""
    if asked not in (None, answer.patch) and answer.patch is not None:
        raise UserError(f"model.patch={asked}: the task hides patches of {answer.patch}; set it to null, or to that")
    return asked or answer.patch


def refuse_beside_hidden(config: Any, spec: ModelSpec) -> None:
    """Raises for options that need a number for each answer, of which a vocabulary has too many."""
    if spec.answer.shape != "hidden":
        return
    for name, fine in (("ngrams", (None,)), ("attention_loss", (None, "entropy", "supervised"))):
        given = getattr(config, name, None)
        if given not in fine:
            raise UserError(
                f"model.{name}={given}: learns something of every answer, and here these are all tokens; set it to null"
            )
