"""Spans of tags, and their precision, recall and F1: a span counts where its ends and its type are all right.

A span goes on where a word's tag continues one of the same type, and else begins anew, whatever the letter before its
type says. That is how the shared tasks of CoNLL, and seqeval where it is not strict, read tags that are out of order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from attnpred.data.tags_target import OUTSIDE, Tags

GOES_ON, MAY_GO_ON = "IE", "BI"  # letters of a tag that continues a span, and of one that a span can continue from


class Span(NamedTuple):
    """The words from `first` up to, and without, `end`."""

    first: int
    end: int
    type: str


def type_of(tag: str, scheme: str) -> str:
    """The name of the tag's span; O of a word outside of all."""
    return tag if scheme == "plain" or tag == OUTSIDE else tag[2:]


def spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """Those of a sentence; of plain tags, runs of the same tag but O."""
    found: list[Span] = []
    before = OUTSIDE
    for place, tag in enumerate(tags):
        if tag != OUTSIDE:
            kind = type_of(tag, scheme)
            goes_on = scheme == "plain" or (tag[0] in GOES_ON and before[0] in MAY_GO_ON)
            if before != OUTSIDE and goes_on and kind == type_of(before, scheme):
                found[-1] = found[-1]._replace(end=place + 1)
            else:
                found.append(Span(place, place + 1, kind))
        before = tag
    return found


class EntityCounts(Metric):
    """How many spans of each type were found, are there and were said; words by type; the loss. Processes add up."""

    full_state_update = False
    hits: Tensor
    support: Tensor
    said: Tensor
    confusion: Tensor
    right: Tensor
    loss: Tensor
    sentences: Tensor

    def __init__(self, spec: Tags) -> None:
        super().__init__()
        self.spec = spec
        self.types = types(spec)
        self._number = {name: i for i, name in enumerate(self.types)}
        tags = [type_of(tag, spec.scheme) for tag in spec.tags]
        self.classes = list(dict.fromkeys(tags))  # of words: the types, and O
        self._class = torch.tensor([self.classes.index(name) for name in tags])
        for name in ("hits", "support", "said"):
            self.add_state(name, torch.zeros(len(self.types), dtype=torch.int64), "sum")
        self.add_state("confusion", torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64), "sum")
        self.add_state("right", torch.tensor(0), "sum")
        self.add_state("loss", torch.tensor(0.0, dtype=torch.float32), "sum")
        self.add_state("sentences", torch.tensor(0), "sum")

    def update(self, said: Tensor, true: Tensor, loss: Tensor) -> None:
        """said and true (batch, parts) int64, the latter -1 where there is no word; the loss summed over words."""
        known = true >= 0
        table = self._class.to(true.device)
        pair = table[true[known]] * len(self.classes) + table[said[known]]  # (words,)
        self.confusion += pair.bincount(minlength=len(self.classes) ** 2).view_as(self.confusion)
        self.right += (said == true)[known].sum()
        self.loss += loss.detach().float()
        self.sentences += len(true)
        counts = torch.zeros(3, len(self.types), dtype=torch.int64)
        for given, held, inside in zip(said.tolist(), true.tolist(), known.tolist(), strict=True):
            found, there = (
                set(spans([self.spec.tags[t] for t, i in zip(row, inside, strict=True) if i], self.spec.scheme))
                for row in (given, held)
            )
            for row, some in enumerate((found & there, there, found)):
                for span in some:
                    counts[row, self._number[span.type]] += 1
        hits, support, of_said = counts.to(self.hits.device)
        self.hits += hits
        self.support += support
        self.said += of_said

    def compute(self) -> dict[str, Tensor]:
        names = ("hits", "support", "said", "confusion", "right", "loss", "sentences")
        return {name: getattr(self, name) for name in names}


def types(spec: Tags) -> list[str]:
    """Of spans, in the order of the tags."""
    return list(dict.fromkeys(type_of(tag, spec.scheme) for tag in spec.tags if tag != OUTSIDE))


def scores(hits: Tensor, support: Tensor, said: Tensor) -> dict[str, Tensor]:
    """Over all types together; 0 where there is nothing to divide by."""
    right, there, given = (counts.sum().float() for counts in (hits, support, said))
    return {
        "entity_precision": right / given.clamp(min=1),
        "entity_recall": right / there.clamp(min=1),
        "entity_f1": 2 * right / (there + given).clamp(min=1),
    }
