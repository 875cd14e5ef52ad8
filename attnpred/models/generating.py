"""Models whose answer is a sequence: they say a token's logits from what was read and the tokens before it."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnpred.contracts import Attention, Batch, Generation, ModelOutput, ModelSpec
from attnpred.models.attention import normalise
from attnpred.models.base import Model
from attnpred.models.decoding import GREEDY, Decoding, Hypotheses, Steps, decode, most_steps


@dataclass(frozen=True)
class Memory:
    """What a model made of its input."""

    features: Tensor  # (batch, source, width)
    keep: Tensor | None  # (batch, source) bool: what may be attended; None where all may
    layers: tuple[Tensor, ...] = ()  # the encoder's weights, (batch, heads, query, key), where they were asked for
    state: Any = None  # whatever else the decoder starts from


class GeneratingModel(Model):
    """The importance for a step is where its cross-attention lies, on the input's own parts.

    `read` is what the chosen step's cross-attention takes of each position, so that explainers follow it back through
    the encoder's layers.
    """

    def __init__(self, config: Any, spec: ModelSpec) -> None:
        super().__init__(config, spec)
        assert spec.answer.generation is not None
        self.generation: Generation = spec.answer.generation

    @abstractmethod
    def encode(self, batch: Batch, *, need_weights: bool = False) -> Memory: ...

    @abstractmethod
    def decode(
        self, tokens: Tensor, memory: Memory, *, need_weights: bool = False, need_own_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of each of the tokens, (batch, steps) with -1 behind the last, from those before it.

        -> (batch, steps, vocabulary), and the alignment, (batch, steps, source), where weights are needed.
        """

    @abstractmethod
    def begin(self, memory: Memory, each: int) -> Steps:
        """Starts to generate, with so many hypotheses a sentence; not to be learned through."""

    def generate(self, batch: Batch, decoding: Decoding = GREEDY) -> Hypotheses:
        """Answers to a batch."""
        with torch.no_grad():
            memory = self.encode(batch)
            own = batch.input.own()
            sources = own.sum(1) if own is not None else torch.full_like(batch.ids, memory.features.shape[1])
            most = most_steps(sources, self.generation)
            return decode(lambda each: self.begin(memory, each), most, self.generation, decoding)

    def forward(
        self,
        batch: Batch,
        *,
        need_attention: bool = False,
        need_layers: bool = True,
        choice: Tensor | None = None,
    ) -> ModelOutput:
        if batch.given is None:
            batch = replace(batch, given=self.generate(batch).tokens[:, 0])
        tokens = batch.given
        assert tokens is not None
        memory = self.encode(batch, need_weights=need_attention and need_layers)
        answer, alignment = self.decode(
            tokens, memory, need_weights=need_attention, need_own_weights=need_attention and need_layers
        )
        output = ModelOutput(answer, answered=self._answered(tokens), tokens=tokens)
        if alignment is None:
            return output
        if choice is None:
            choice = self.spec.answer.choose(answer, output.answered)
        step, _ = self.spec.answer.place(choice)
        read = alignment[torch.arange(step.shape[0], device=step.device), step]  # (batch, source)
        own = batch.input.own()
        every = None if own is None else own[:, None].expand(alignment.shape)
        steps = normalise(alignment, every)
        attention = Attention(normalise(read, own), memory.layers, read=read, steps=steps.detach())
        return replace(output, attention=attention)

    def _answered(self, tokens: Tensor) -> Tensor:
        """Each step's number, and -1 at the end and behind it: (batch, steps)."""
        place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        first = (tokens == self.generation.end).cumsum(1) > 0
        gone = (tokens < 0) | (first & (place > 0))  # an empty answer is its end
        return place.masked_fill(gone, -1)
