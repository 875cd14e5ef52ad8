"""Answers a part, such as a tag a word: what stands in a model in place of its pooling."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from attnpred.contracts import AnswerSpec, Input, ModelOutput
from attnpred.models.attention import normalise, pass_through
from attnpred.models.chain import SPEED, Chain
from attnpred.models.ngrams import joined
from attnpred.models.predicted import PredictedAttention


class Parts(nn.Module):
    """Normalises the features of each part, from which a model's head makes the part's answer.

    The importance is that for one part's answer: half of it lies on the part itself, by the path around the last layer,
    and half where the part's row of that layer's weights lies, averaged over heads. With a predicted attention it is
    what that says of the chosen part.
    """

    kind: ClassVar[str] = "parts"

    def __init__(self, width: int, answer: AnswerSpec) -> None:
        super().__init__()
        self.answer = answer
        self.norm = nn.LayerNorm(width)
        tags = answer.width + 1
        self.steps = nn.Parameter(torch.zeros(tags, tags)) if answer.chained else None

    def output(self, numbers: Tensor, read: Input, own: Tensor | None) -> ModelOutput:
        """From the head's numbers, (batch, parts, width): the answer without attention."""
        answered = read.answered()
        if answered is None:
            answered = torch.arange(numbers.shape[1], device=numbers.device).expand(numbers.shape[:2])
            answered = answered if own is None else answered.masked_fill(~own, -1)
        if self.steps is None:
            return ModelOutput(numbers, answered=answered)
        chain = Chain(numbers, SPEED * self.steps, answered)
        return ModelOutput(chain.marginals(), answered=answered, chain=chain)

    def importance(
        self,
        output: ModelOutput,
        choice: Tensor | None,
        own: Tensor | None,
        *,
        weights: Tensor | None,  # (batch, heads, query, key) of the last layer; needed where nothing is predicted
        predicted: PredictedAttention | None,
        features: Sequence[Tensor],  # (batch, parts, width) each, as they entered and as they left the layers
        said: Tensor | None = None,  # (batch, parts, width): of the answer, what layers say and what `scores` add
        scores: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The importance, (batch, parts), and what is read of each position: the chosen part alone."""
        chosen = self.answer.choose(output.answer, output.answered) if choice is None else choice
        part, column = self.answer.place(chosen)  # (batch,) each
        row = torch.arange(part.shape[0], device=part.device)
        read = (torch.arange(output.answer.shape[1], device=part.device) == part[:, None]).float()
        known = None if scores is None else scores * read[..., None]  # a part's scores are for its own answer
        if predicted is not None:
            whole, answer = features[-1][row, part], output.answer[row, part]
            return predicted(features, whole, answer, own, known=known, choice=column), read
        assert weights is not None
        flowed = normalise(read + pass_through(read, weights), own)
        if said is not None and known is not None:
            flowed = joined(flowed, said[row, part], known, own, exclusive=self.answer.exclusive)
        return flowed, read
