"""Translation, and any other text that answers a text, such as a summary: learned token by token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from attnpred.config.options import Modality, Shape, TaskConfig
from attnpred.config.schema import option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick_of
from attnpred.errors import UserError
from attnpred.modalities.text.text_target import Sentences, TextTarget, read_texts
from attnpred.models.decoding import GREEDY, Decoding, Hypotheses
from attnpred.tasks import answer_words, bleu, text_scores
from attnpred.tasks.base import Task, known
from attnpred.tasks.token_loss import token_losses

MOST_BEAMS, MOST_TEXTS = 1_000, 10_000_000
NAMES = {"rouge": ("rouge1", "rouge2", "rougel")}


@dataclass(kw_only=True)
class TranslationConfig(TaskConfig):
    """Options of translation."""

    reads: ClassVar[str] = "text"
    inputs: ClassVar[tuple[Modality, ...]] = ("text",)
    shape: ClassVar[Shape] = "sequence"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "loss": "min",
        "accuracy": "max",
        "bleu": "max",
        "chrf": "max",
        "rouge1": "max",
        "rouge2": "max",
        "rougel": "max",
    }
    shares: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "bleu"

    label_smoothing: float = option("Share of the target that is spread over the vocabulary in training.", ge=0, lt=1)
    consistency: float = option(
        "Weight of how far apart two answers to one training example are, each under its own dropout (R-Drop). "
        "Above 0 every example is answered twice, in twice the time.",
        ge=0,
        default=0.0,
    )
    scores: list[Literal["bleu", "chrf", "rouge"]] = option(
        "What answers are counted by beside BLEU: rouge for summaries.", default=["bleu", "chrf"]
    )
    val_texts: int = option(
        "Texts of validation that are answered, token by token, after each pass over the data; its loss is of all.",
        ge=1,
        le=MOST_TEXTS,
        default=500,
    )
    beam: int = option(
        "Beams by which test and prediction look for the likeliest answer; 1 goes token by token.", ge=1, le=MOST_BEAMS
    )
    length_penalty: float = option(
        "An answer's logarithm of probability is divided by its length to this power: above 0 longer ones win.",
        ge=0,
        default=1.0,
    )

    def measured(self) -> Mapping[str, Literal["max", "min"]]:
        kept = {"loss", "accuracy", "bleu"} | {name for score in self.scores for name in NAMES.get(score, (score,))}
        return {name: way for name, way in self.metrics.items() if name in kept}

    def decoding(self) -> Decoding:
        """As test and prediction have it."""
        return Decoding(beam=self.beam, length_penalty=self.length_penalty)


class Measures(nn.Module):
    """Of one split: the loss of each token, how many of them were right, and the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.loss, self.accuracy, self.texts = MeanMetric(), MeanMetric(), text_scores.Texts()

    def reset(self) -> None:
        for metric in (self.loss, self.accuracy, self.texts):
            metric.reset()


class Translation(Task):
    Spec = Sentences
    bounded = True
    scored = "the probability of the explained token, given those before it"
    config: TranslationConfig
    spec: Sentences

    def __init__(self, config: TranslationConfig, spec: Sentences) -> None:
        super().__init__(config, spec)
        text_scores.require(["bleu", *config.scores])
        self.decoding = config.decoding()
        self._kept: list[tuple[int, str, str]] = []  # of the split that was measured last

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> TextTarget:
        return TextTarget(columns, option)

    @property
    def answer(self) -> AnswerSpec:
        return AnswerSpec(
            self.spec.vocab_size, shape="sequence", nothing=self.spec.end_id, generation=self.spec.generation
        )

    def seen(self, batch: Batch) -> Batch:
        """With the answers: each token is learned from those before it. With `consistency` all examples twice."""
        batch = replace(batch, given=known(batch, "tokens"))
        if not self.config.consistency:
            return batch
        return batch.rows(torch.arange(len(batch), device=batch.ids.device).repeat(2))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        tokens = known(batch, "tokens")
        losses = token_losses(output.answer.flatten(0, 1), tokens.flatten(), self.config.label_smoothing)
        loss = losses.sum() / (tokens >= 0).sum()
        if not self.config.consistency:
            return loss
        return loss + self.config.consistency * _apart(output.answer[tokens >= 0].float())

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The share of an answer's tokens that are the likeliest."""
        tokens = known(batch, "tokens")
        there = tokens >= 0
        right = (output.answer.argmax(-1) == tokens) & there
        return {"accuracy": (right.sum(1) / there.sum(1).clamp(min=1)).sum()}

    def metrics(self) -> Measures:
        return Measures()

    def measure(self, metrics: Any, model: Any, batch: Batch, *, mirror: bool, final: bool) -> ModelOutput:
        """The loss of what is wanted, and the answers: of some, the likeliest tokens; in the end of all, as asked."""
        output: ModelOutput = model(self.seen_once(batch))
        self.update_metrics(metrics, output, batch)
        answered = metrics.texts.numbers
        room = len(batch) if final else self.config.val_texts - sum(map(len, answered))
        if room > 0:
            few = batch.rows(torch.arange(min(room, len(batch)), device=batch.ids.device))
            tokens = model.generate(few, self.decoding if final else GREEDY).tokens[:, 0]
            metrics.texts.update(self.texts(tokens), read_texts(known(few, "text")), few.ids)
        return output

    def seen_once(self, batch: Batch) -> Batch:
        return replace(batch, given=known(batch, "tokens"))

    def decode_by(self, **options: Any) -> None:
        beam = max(self.decoding.beam, options.get("best", 1))  # as many as are asked for, where it is not said
        self.decoding = checked(replace(self.decoding, **{"beam": beam, **options}))

    def asked(self, model: Any, batch: Batch, *, mirror: bool, need_attention: bool) -> ModelOutput:
        found = model.generate(batch, self.decoding)
        held = replace(batch, given=found.tokens[:, 0])
        output: ModelOutput = model(held, need_attention=need_attention, need_layers=False)
        return replace(output, hypotheses=found)

    def update_metrics(self, metrics: Measures, output: ModelOutput, batch: Batch) -> None:
        tokens = known(batch, "tokens")
        there = tokens >= 0
        losses = token_losses(output.answer.flatten(0, 1), tokens.flatten())
        right = (output.answer.argmax(-1) == tokens) & there
        count = there.sum()
        metrics.loss.update(losses.sum() / count, weight=count)
        metrics.accuracy.update(right.sum() / count, weight=count)

    def results(self, metrics: Measures, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        scalars = {"loss": metrics.loss.compute(), "accuracy": metrics.accuracy.compute()}
        rows = self._kept = metrics.texts.compute()
        wanted: list[Any] = list(dict.fromkeys(["bleu", *self.config.scores]))
        answers, references = [answer for _, answer, _ in rows], [reference for *_, reference in rows]
        scores, signatures = text_scores.corpus_scores(answers, references, wanted)
        details: dict[str, Any] = {"texts": len(rows), "signatures": signatures}
        if rows and not learn:
            details["intervals"] = {"bleu": bleu.interval(bleu.counts(answers, references))}
        return {**scalars, **{name: torch.tensor(score) for name, score in scores.items()}}, details

    def keep(self, directory: Path) -> None:
        text_scores.write_answers(directory, self._kept)

    def choose(self, output: ModelOutput) -> Tensor:
        """The token of the text itself that the model is surest of."""
        assert output.tokens is not None
        assert output.answered is not None
        chances = output.answer.float().softmax(-1).gather(2, output.tokens.clamp(min=0)[..., None])[..., 0]
        step = chances.masked_fill(output.answered < 0, -1.0).argmax(1)
        token = output.tokens.gather(1, step[:, None])[:, 0].clamp(min=0)
        return step * self.spec.vocab_size + token

    def further(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Tensor]:
        assert output.tokens is not None
        return answer_words.further(output.tokens, choice, self.spec)

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The probability of a token at its step, given those before it, or its logit."""
        step, token = self.answer.place(choice)
        logits = output.answer[torch.arange(len(step), device=step.device), step].float()  # (batch, vocabulary)
        return pick_of(logits if linear else logits.softmax(-1), token)

    def choice_name(self, choice: int) -> str:
        return self.spec.spelt(choice % self.spec.vocab_size)

    def texts(self, tokens: Tensor) -> list[str]:
        """(batch, steps) -> what each says."""
        return [self.spec.text(row) for row in tokens.tolist()]

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        assert output.tokens is not None
        there = output.tokens >= 0
        chances = output.answer.float().log_softmax(-1).gather(2, output.tokens.clamp(min=0)[..., None])[..., 0]
        sums = (chances * there).sum(1) / there.sum(1).clamp(min=1)
        found = []
        for row, (tokens, mean) in enumerate(zip(output.tokens.tolist(), sums.exp().tolist(), strict=True)):
            made = answer_words.words_of(tokens, self.spec)
            described = {"text": self.spec.text(tokens), "confidence": mean, "made": made}
            found.append({**described, **self._others(output.hypotheses, row)})
        return found

    def _others(self, hypotheses: Hypotheses | None, row: int) -> dict[str, Any]:
        """The score by which an answer was found; and where several are asked for, these."""
        if hypotheses is None:
            return {}
        scores = hypotheses.scores[row].tolist()
        if self.decoding.best == 1:
            return {"score": scores[0]}
        texts = self.texts(hypotheses.tokens[row])
        each = zip(texts, scores, strict=True)
        return {"score": scores[0], "nbest": [{"text": t, "score": s} for t, s in each if s > -torch.inf]}

    def located(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer_words.aligned(answer)

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return described["text"], described["confidence"]

    def truths(self, batch: Batch) -> list[str | None]:
        if "text" not in batch.targets:
            return [None] * len(batch)
        return list(read_texts(batch.targets["text"]))

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        found = details.get("intervals") or {}
        bounds = [f"{name} {mean:.2f} ({low:.2f} to {high:.2f})" for name, (mean, low, high) in found.items()]
        return [f"{split}, bootstrap over {details['texts']:,} texts: {', '.join(bounds)}"] if bounds else []


def checked(decoding: Decoding) -> Decoding:
    """Raises where the numbers do not make sense, or not together."""
    if not 1 <= decoding.beam <= MOST_BEAMS:
        raise UserError(f"--beam {decoding.beam}: must be 1 to {MOST_BEAMS:,}")
    most = MOST_BEAMS if decoding.sample else decoding.beam
    if not 1 <= decoding.best <= most:
        raise UserError(f"--nbest {decoding.best}: must be at least 1, and no more than --beam {decoding.beam}")
    if not 0 < decoding.temperature < float("inf"):
        raise UserError(f"--temperature {decoding.temperature}: must be above 0")
    if decoding.top_k is not None and decoding.top_k < 1:
        raise UserError(f"--top-k {decoding.top_k}: must be at least 1")
    if not 0 < decoding.top_p <= 1:
        raise UserError(f"--top-p {decoding.top_p}: must be above 0, and 1 at most")
    if not 0 <= decoding.length_penalty <= 10:
        raise UserError(f"--length-penalty {decoding.length_penalty}: must be 0 to 10")
    if not decoding.sample and (decoding.temperature, decoding.top_k, decoding.top_p) != (1.0, None, 1.0):
        raise UserError("--temperature, --top-k and --top-p: are for answers that are drawn; give --sample too")
    return decoding


def _apart(logits: Tensor) -> Tensor:
    """Mean divergence, taken both ways and halved, of the first half's chances from the second half's."""
    first, second = logits.log_softmax(1).chunk(2)  # (tokens, vocabulary) each
    return 0.5 * ((first.exp() - second.exp()) * (first - second)).sum(1).mean()
