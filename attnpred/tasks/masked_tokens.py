"""Masked tokens: words are hidden and to be found, which teaches a model from texts that nobody labelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection, SumMetric

from attnpred.config.options import Modality, Shape, TaskConfig
from attnpred.config.schema import Invalid, option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick
from attnpred.errors import UserError
from attnpred.modalities.text.hidden import TOKENS, HiddenTokens, HiddenTokensTarget, Hiding
from attnpred.tasks.base import Summary, Task, known

LIKELIEST = 5  # tokens that a description names
MOST_PERPLEXITY = 80.0  # logarithm beyond which it is as good as infinite


@dataclass(kw_only=True)
class MaskedTokensConfig(TaskConfig):
    """Options of masked tokens."""

    reads: ClassVar[str] = "itself"
    inputs: ClassVar[tuple[Modality, ...]] = ("text",)
    shape: ClassVar[Shape] = "hidden"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"loss": "min", "perplexity": "min", "accuracy": "max"}
    shares: ClassVar[tuple[str, ...]] = ("accuracy",)

    share: float = option(
        "Share of a text's tokens that are hidden, others each time a text is trained on.", gt=0, lt=1
    )
    whole_words: bool = option("Hide all tokens of a word together.")
    kept: float = option("Of the hidden tokens in training, the share that is shown as it is.", ge=0, lt=1, default=0.0)
    replaced: float = option("Of them, the share for which any other token is shown.", ge=0, lt=1, default=0.0)
    pack: bool = option("Join training's texts into sequences of data.max_length, so that none is padded.")

    def check(self) -> None:
        if self.kept + self.replaced >= 1:
            raise Invalid("replaced", "with kept leaves no token to hide; lower one of them")


class MaskedTokens(Task):
    Spec = HiddenTokens
    bounded = True
    scored = "the probability of the explained token at its hidden place"
    config: MaskedTokensConfig
    spec: HiddenTokens

    def __init__(self, config: MaskedTokensConfig, spec: HiddenTokens) -> None:
        super().__init__(config, spec)
        self._hiding = Hiding(spec, whole_words=config.whole_words)
        if config.whole_words and not self._hiding.words.known and any(" " in name for name in spec.names):
            raise UserError("task.whole_words=true: this tokenizer does not tell where words begin; set it to false")

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> HiddenTokensTarget:
        return HiddenTokensTarget(
            columns, option, share=config.share, whole_words=config.whole_words, packs=config.pack
        )

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(len(self.spec.names), shape="hidden")

    def seen(self, batch: Batch) -> Batch:
        """The batch with other tokens hidden each time."""
        texts, options = batch.input, self.config
        draws = torch.rand(2, *texts.tokens.shape, device=texts.tokens.device)
        hidden = self._hiding.choose(texts, options.share, draws[0])
        if not options.kept and not options.replaced:
            return self._hiding(batch, hidden)
        shown = self._hiding.disguised(texts, hidden, draws[1], options.replaced, options.kept)
        return self._hiding(batch, hidden, seen=shown)

    def _true(self, output: ModelOutput, batch: Batch) -> Tensor:
        """(hidden,) int64: what the hidden tokens were."""
        assert output.answered is not None
        return known(batch, TOKENS)[output.answered >= 0]

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        return F.cross_entropy(output.answer.float(), self._true(output, batch))

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The share of the batch's hidden tokens that are found."""
        return {"accuracy": (output.answer.argmax(-1) == self._true(output, batch)).float().mean() * len(batch)}

    def metrics(self) -> MetricCollection:
        members: dict[str, Metric | MetricCollection] = {"loss": MeanMetric(), "accuracy": MeanMetric()}
        return MetricCollection({**members, "examples": SumMetric()}, compute_groups=False)

    def update_metrics(self, metrics: MetricCollection, output: ModelOutput, batch: Batch) -> None:
        true = self._true(output, batch)
        metrics["loss"].update(F.cross_entropy(output.answer.float(), true), weight=len(true))
        metrics["accuracy"].update((output.answer.argmax(-1) == true).float().mean(), weight=len(true))
        metrics["examples"].update(len(batch))

    def results(self, metrics: MetricCollection, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        values = metrics.compute()
        examples = int(values.pop("examples"))
        perplexity = values["loss"].clamp(max=MOST_PERPLEXITY).exp()
        return {**values, "perplexity": perplexity}, {"examples": examples}

    def choose(self, output: ModelOutput) -> Tensor:
        """What is said of the hidden token that the model is surest of."""
        return self.answer.choose(output.answer, output.answered)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The probability of a token at a hidden place, or its logit; below 0 what speaks against the token."""
        answer, column = self.answer.of_hidden(output, choice)  # (batch, tokens), (batch,)
        if linear:
            return pick(answer, column)
        found = pick(answer.softmax(-1), column)
        return torch.where(choice < 0, 1 + found, found)

    def choice_name(self, choice: int) -> str:
        word = self._word((choice if choice >= 0 else ~choice) % len(self.spec.names))
        return word if choice >= 0 else f"not {word}"

    def _word(self, token: int) -> str:
        return self.spec.names[token] or f"(token {token})"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        """Of each hidden token the likeliest ones; `explained` is the number of that which attention tells of."""
        assert output.answered is not None
        chances, tokens = output.answer.float().softmax(-1).topk(min(LIKELIEST, len(self.spec.names)))
        told = [
            {"token": self._word(row[0]), "probabilities": dict(zip(map(self._word, row), own, strict=True))}
            for row, own in zip(tokens.tolist(), chances.tolist(), strict=True)
        ]
        parts = self.answer.place(self.choose(output))[0].tolist()
        found = []
        for row, part in zip(output.answered.tolist(), parts, strict=True):
            places = [place for place, number in enumerate(row) if number >= 0]
            found.append({"hidden": [told[row[place]] for place in places], "explained": places.index(part)})
        return found

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        one = described["hidden"][described["explained"]]
        return one["token"], one["probabilities"][one["token"]]

    def truths(self, batch: Batch) -> list[str | None]:
        """All hidden tokens, one after the other."""
        if TOKENS not in batch.targets:
            return [None] * len(batch)
        return [" ".join(self._words_of(batch, row)) for row in range(len(batch))]

    def _words_of(self, batch: Batch, row: int) -> list[str]:
        hidden = batch.input.hidden[row]
        return [self._word(token) for token in batch.targets[TOKENS][row][hidden].tolist()]

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """Whether the explained token is another."""
        true = self._explained(described, batch, row)
        return true is not None and true != self.headline(described)[0]

    def _explained(self, described: dict[str, Any], batch: Batch, row: int) -> str | None:
        """What the explained token was."""
        return self._words_of(batch, row)[described["explained"]] if TOKENS in batch.targets else None

    def summaries(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Summary]:
        """With the explained token alone as the truth."""
        found = super().summaries(output, choice, batch)
        return [replace(one, true=self._explained(one.described, batch, row)) for row, one in enumerate(found)]
