"""Tagging: a tag for every word, such as named entities; each by itself, or all of a sentence by a CRF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.config.options import Modality, Shape, TaskConfig
from attnpred.config.schema import Invalid, option
from attnpred.contracts import AnswerSpec, Batch, ModelOutput, pick_of
from attnpred.data.tags_target import OUTSIDE, Tags, TagsTarget
from attnpred.models.chain import best_path
from attnpred.tasks import entities, tag_words
from attnpred.tasks.base import Claim, Task, known, listed_weights
from attnpred.tasks.class_report import report, table


@dataclass(kw_only=True)
class TaggingConfig(TaskConfig):
    """Options of tagging."""

    reads: ClassVar[str] = "tags"
    inputs: ClassVar[tuple[Modality, ...]] = ("words",)
    shape: ClassVar[Shape] = "parts"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "accuracy": "max",
        "entity_f1": "max",
        "entity_precision": "max",
        "entity_recall": "max",
        "loss": "min",
    }
    shares: ClassVar[tuple[str, ...]] = ("accuracy", "entity_f1", "entity_precision", "entity_recall")
    monitor: ClassVar[str] = "entity_f1"

    scheme: Literal["bio", "bioes", "plain"] | None = option(
        "How tags mark spans: by B- and I- before the type (bio), with E- and S- for ends and single words too "
        "(bioes). With plain, a run of one tag is a span. With null the tags tell."
    )
    pieces: Literal["first", "all"] = option(
        "Which of a word's tokens learn its tag: the first, or all, those behind the first that of the inside of a "
        "span. Answers are always those at the first."
    )
    crf: bool = option("Learn which tag follows which, and answer for the sentence as a whole (a linear-chain CRF).")
    label_smoothing: float = option("Share of the target that is spread over all tags in training.", ge=0, lt=1)
    class_weights: Literal["balanced"] | list[float] | None = option(
        "Weight of each tag in the training loss, in the order of the tags. With balanced, rare tags weigh as much in "
        "all as common ones. With null every word weighs alike.",
        gt=0,
    )

    def check(self) -> None:
        if not self.crf:
            return
        if self.pieces == "all":
            raise Invalid("pieces", "a CRF goes from word to word; set it to first")
        if self.class_weights is not None:
            raise Invalid("class_weights", "weighs words one by one, and a CRF learns whole sentences; set it to null")
        if self.label_smoothing:
            raise Invalid("label_smoothing", "is for words one by one, and a CRF learns whole sentences; set it to 0")


class Tagging(Task):
    Spec = Tags
    bounded = True
    scored = "the probability of the explained word's tag"
    config: TaggingConfig
    spec: Tags

    def __init__(self, config: TaggingConfig, spec: Tags) -> None:
        super().__init__(config, spec)
        self._weights = None if config.class_weights is None else _weights(config.class_weights, spec)
        self._inside = torch.tensor([spec.tags.index(inside(tag, spec)) for tag in spec.tags])

    @classmethod
    def target(cls, config: Any, columns: Sequence[str], option: str) -> TagsTarget:
        return TagsTarget(columns, option, config.scheme)

    @property
    def answer(self) -> AnswerSpec:
        nothing = self.spec.tags.index(OUTSIDE) if OUTSIDE in self.spec.tags else None
        return AnswerSpec(len(self.spec.tags), shape="parts", nothing=nothing, chained=self.config.crf)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        tags = known(batch, "tags")
        if output.chain is not None:
            return self._summed(output, tags) / (tags >= 0).sum().clamp(min=1)
        learned = self._on_all_pieces(output, tags, batch) if self.config.pieces == "all" else tags
        weights = None if self._weights is None else self._weights.to(tags.device)
        loss = F.cross_entropy(
            output.answer.float().flatten(0, 1),
            learned.flatten(),
            weight=weights,
            ignore_index=-1,
            label_smoothing=self.config.label_smoothing,
            reduction="sum",
        )
        at = learned[learned >= 0]
        counted = weights[at].sum() if weights is not None else torch.tensor(float(len(at)))
        return loss / counted.to(loss.device).clamp(min=1e-6)

    def _summed(self, output: ModelOutput, tags: Tensor) -> Tensor:
        """The loss without weights and smoothing, summed over words."""
        if output.chain is not None:
            likelihood: Tensor = output.chain.likelihood(tags)
            return -likelihood.sum()
        answer = output.answer.float().flatten(0, 1)
        return F.cross_entropy(answer, tags.flatten(), ignore_index=-1, reduction="sum")

    def _on_all_pieces(self, output: ModelOutput, tags: Tensor, batch: Batch) -> Tensor:
        """The tags, and on a word's further tokens what the inside of its span has: (batch, parts)."""
        assert output.answered is not None
        place = torch.arange(tags.shape[1], device=tags.device).expand_as(tags)
        first = torch.where(output.answered >= 0, place, -1).cummax(1).values  # of the word that each token belongs to
        word = tags.gather(1, first.clamp(min=0))
        further = torch.where(word >= 0, self._inside.to(tags.device)[word.clamp(min=0)], -1)
        own = batch.input.own()
        belongs = (first >= 0) & (first < place)
        belongs = belongs if own is None else belongs & own
        return torch.where(belongs, further, tags)

    def figures(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """The share of a sentence's words whose tag is right."""
        tags = known(batch, "tags")
        there = tags >= 0
        right = (output.answer.argmax(-1) == tags) & there
        return {"accuracy": (right.sum(1) / there.sum(1).clamp(min=1)).sum()}

    def metrics(self) -> entities.EntityCounts:
        return entities.EntityCounts(self.spec)

    def update_metrics(self, metrics: entities.EntityCounts, output: ModelOutput, batch: Batch) -> None:
        tags = known(batch, "tags")
        metrics.update(said(output), tags, self._summed(output, tags))

    def results(self, metrics: entities.EntityCounts, *, learn: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
        found = {name: value.cpu() for name, value in metrics.compute().items()}
        words = found["confusion"].sum().clamp(min=1)
        scalars = {
            "loss": found["loss"] / words,
            "accuracy": found["right"] / words,
            **entities.scores(found["hits"], found["support"], found["said"]),
        }
        hits, support, of_said = (found[name].numpy() for name in ("hits", "support", "said"))
        each = report(hits, support, of_said, metrics.types)
        details = {"entities": each, "words": int(words), "examples": int(found["sentences"])}
        return scalars, {**details, "word_types": metrics.classes, "confusion": found["confusion"].tolist()}

    def score(self, output: ModelOutput, choice: Tensor, *, linear: bool = False) -> Tensor:
        """The probability of a tag of a word, or its logit; of a choice below 0 what speaks against the tag."""
        answer = output.answer.float()
        if linear:
            return pick_of(answer if output.chain is None else log_odds(answer), choice)
        found = pick_of(answer.softmax(-1), choice)
        return torch.where(choice < 0, 1 + found, found)

    def choose(self, output: ModelOutput) -> Tensor:
        return self.answer.choose(output.answer, output.answered)

    def further(self, output: ModelOutput, choice: Tensor, batch: Batch) -> list[Tensor]:
        """The tags of the other words that are said, or known, to be part of a span."""
        return tag_words.further(said(output), batch.targets.get("tags"), choice, self.answer)

    def choice_name(self, choice: int) -> str:
        width = len(self.spec.tags)
        return self.spec.tags[choice % width] if choice >= 0 else f"not {self.spec.tags[~choice % width]}"

    def describe(self, output: ModelOutput) -> list[dict[str, Any]]:
        part, column = self.answer.place(self.choose(output))
        return tag_words.described(output, said(output), part.tolist(), column.tolist(), self.spec)

    def located(self, answer: dict[str, Any]) -> dict[str, Any]:
        return tag_words.located(answer)

    def headline(self, described: dict[str, Any]) -> tuple[str, float | None]:
        return tag_words.words_for(described["spans"]), min((one["score"] for one in described["spans"]), default=None)

    def truths(self, batch: Batch) -> list[str | None]:
        if "tags" not in batch.targets:
            return [None] * len(batch)
        return [tag_words.words_for([{"tag": s.type} for s in row]) for row in self._true_spans(batch.targets["tags"])]

    def kept(self, output: ModelOutput, batch: Batch) -> list[dict[str, Any]]:
        tags = known(batch, "tags")
        chances = output.answer.float().softmax(-1)
        return [
            {"given": [self.spec.tags[tag] for tag in row[row >= 0].tolist()], "chances": own[row >= 0].tolist()}
            for row, own in zip(tags, chances, strict=True)
        ]

    def claims(self, row: Mapping[str, Any]) -> list[Claim]:
        """Of each word that was read."""
        words = zip(row["read"], row["given"], row["chances"], strict=True)
        return [
            Claim(f"word {number}", tag, dict(zip(self.spec.tags, own, strict=True)), word=number)
            for number, tag, own in words
        ]

    def wrong(self, described: dict[str, Any], batch: Batch, row: int) -> bool:
        """True where any span is missing, wrong or too much."""
        if "tags" not in batch.targets:
            return False
        (true,) = self._true_spans(batch.targets["tags"][row : row + 1])
        return true != entities.spans(described["tags"], self.spec.scheme)

    def _true_spans(self, tags: Tensor) -> list[list[entities.Span]]:
        """Among the words that were read."""
        rows = ([self.spec.tags[tag] for tag in row if tag >= 0] for row in tags.tolist())
        return [entities.spans(row, self.spec.scheme) for row in rows]

    def marks(self, described: dict[str, Any], batch: Batch, row: int) -> list[tuple[str, str | None]]:
        if "tags" not in batch.targets:
            return [(tag, None) for tag in described["tags"]]
        true = [self.spec.tags[tag] for tag in batch.targets["tags"][row].tolist() if tag >= 0]
        return list(zip(described["tags"], true, strict=True))

    def tables(self, details: dict[str, Any], split: str) -> list[str]:
        return [table(details.get("entities") or [], split, "entity")]

    def pictures(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        """Of words, which type is taken for which."""
        from attnpred.pages.pictures import confusion_matrix

        return {"confusion": confusion_matrix(np.array(details["confusion"]), details["word_types"])}


def said(output: ModelOutput) -> Tensor:
    """(batch, parts) int64: the tag of each part that has one; of a chain the likeliest sequence."""
    return output.answer.argmax(-1) if output.chain is None else best_path(output.chain)


def log_odds(logarithms: Tensor) -> Tensor:
    """(…, width) of logarithms of probabilities: how far each tag is ahead of all others together."""
    others = [
        torch.cat((logarithms[..., :i], logarithms[..., i + 1 :]), -1).logsumexp(-1)
        for i in range(logarithms.shape[-1])
    ]
    return logarithms - torch.stack(others, -1)


def inside(tag: str, spec: Tags) -> str:
    """The tag of a further word of the span that `tag` begins; plain tags, and O, go on as they are."""
    if spec.scheme == "plain" or tag == OUTSIDE:
        return tag
    return f"I-{tag[2:]}"


def _weights(asked: str | list[float], spec: Tags) -> Tensor:
    """A weight a tag; balanced ones have the mean 1 over the train part's words. A tag that it lacks counts as once."""
    if isinstance(asked, list):
        return listed_weights(asked, spec.tags)
    counts = torch.tensor(spec.counts, dtype=torch.float32).clamp(min=1)
    return counts.sum() / (len(counts) * counts)
