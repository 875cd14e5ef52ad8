"""A tag a word: a column of lists of tags, by BIO, BIOES, or plain ones that are each a label of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.data.class_target import shown
from attnpred.data.targets import Collector, Stored, Target
from attnpred.errors import BadRow, UserError

Scheme = Literal["bio", "bioes", "plain"]
OUTSIDE = "O"  # the tag of a word that is part of nothing
NONE = -1  # where a row has no word
PREFIXES = {"bio": "BI", "bioes": "BIES"}
PREFIXED = re.compile(r"([A-Z])-(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Tags(TargetSpec):
    """The tags' names, how they mark spans, and how many words of the train part have each."""

    tags: tuple[str, ...]
    scheme: str
    counts: tuple[int, ...]

    def check(self) -> None:
        if not self.tags or len(set(self.tags)) < len(self.tags) or len(self.counts) != len(self.tags):
            raise ValueError("it has no tags, one twice, or another number of counts")
        if self.scheme not in get_args(Scheme):
            raise ValueError(f"its scheme of tags, {self.scheme}, is not known")
        if self.scheme != "plain" and not all(self._kept(tag) for tag in self.tags if tag != OUTSIDE):
            raise ValueError(f"a tag does not go by its scheme, {self.scheme}, or lacks the one of its inside")

    def _kept(self, tag: str) -> bool:
        found = PREFIXED.fullmatch(tag)
        return found is not None and found[1] in PREFIXES[self.scheme] and f"I-{found[2]}" in self.tags


class TagCollector(Collector):
    """Lists of names, or of numbers among the source's own `names`; a missing list is kept as a row without words."""

    def __init__(self, place: str, names: Sequence[str] | None, scheme: Scheme | None) -> None:
        self._place, self._names, self._scheme = place, names, scheme
        self._numbers = {} if names is None else {name: i for i, name in enumerate(names)}
        self._first: dict[str, int] = {}  # the row in which each tag comes first
        self._rows: list[NDArray[np.int16]] = []

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        (values,) = columns
        good = [True] * len(values) if usable is None else usable
        for value, is_good in zip(values, good, strict=True):
            found = [self._number(tag) for tag in self._listed(value)] if is_good else []
            self._rows.append(np.array(found, np.int16))

    def _listed(self, value: Any) -> list[Any]:
        if value is not None and not isinstance(value, list):
            raise UserError(
                f"{self._place}: holds {type(value).__name__} values; choose a column of lists, of a tag a word"
            )
        return value or []

    def _number(self, tag: Any) -> int:
        row = len(self._rows)
        if isinstance(tag, int) and self._names is not None and 0 <= tag < len(self._names):
            tag = self._names[tag]
        if not isinstance(tag, str) or not tag.strip():
            raise BadRow(f"{self._place}: row {row} has the tag {tag!r}, which is no name of one; mend it", row)
        self._first.setdefault(tag, row)
        return self._numbers.setdefault(tag, len(self._numbers))

    def finish(self) -> Stored:
        known = list(self._numbers)
        scheme = self._scheme_of(known)
        longest = max(map(len, self._rows), default=0)
        values = np.full((len(self._rows), longest), NONE, np.int16)
        for row, tags in enumerate(self._rows):
            values[row, : len(tags)] = tags
        return Stored(values, {"tags": known, "scheme": scheme})

    def _scheme_of(self, tags: list[str]) -> Scheme:
        """The one that was asked for, or the one that the tags keep to; raises where they keep to none."""
        if self._scheme == "plain":
            return "plain"
        found: Scheme = "bio"
        marked = [tag for tag in tags if (m := PREFIXED.fullmatch(tag)) and m[1] in PREFIXES["bioes"]]
        if self._scheme is not None:
            found = self._scheme
        elif not marked:
            return "plain"
        elif any(tag[0] in "ES" for tag in marked):
            found = "bioes"
        odd = [tag for tag in tags if tag != OUTSIDE and (tag not in marked or tag[0] not in PREFIXES[found])]
        if odd:
            row = min(self._first.get(tag, 0) for tag in odd)
            some = shown(sorted(odd, key=lambda tag: self._first.get(tag, 0)))
            raise BadRow(
                f"{self._place}: row {row} is tagged by an unknown scheme: {some} is not of {found.upper()}, as "
                f"{marked[0] if marked else 'B-person'} is; mend the tags, or set task.scheme=plain",
                row,
            )
        return found


class TagsTarget(Target[Tags]):
    """A row's tags, as their numbers, -1 behind the last word."""

    kind = "tags-1"
    by_word = True

    def __init__(self, columns: Sequence[str], option: str, scheme: Scheme | None = None) -> None:
        super().__init__(columns, option)
        self.scheme = scheme

    def key(self) -> dict[str, Any]:
        return {**super().key(), "scheme": self.scheme}

    def collector(self, names: Sequence[list[str] | None]) -> TagCollector:
        if len(self.columns) != 1:
            raise UserError(f"{self.place}: tags are in one column of lists; name one")
        return TagCollector(self.place, names[0], self.scheme)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        if not stored.values.shape[1]:
            return np.zeros(len(stored.values), bool)
        good: NDArray[np.bool_] = stored.values[:, 0] != NONE
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        return "has no tags"

    def spec(self, stored: Stored, rows: NDArray[Any]) -> Tags:
        """O and every tag that the scheme has for a type come along, though the train part may lack some."""
        own, scheme = stored.about["tags"], stored.about["scheme"]
        counts = np.bincount(stored.values[rows].ravel() + 1, minlength=len(own) + 1)[1:]
        known = dict(zip(own, counts.tolist(), strict=True))
        if scheme == "plain":
            tags = sorted(known, key=lambda tag: (tag != OUTSIDE, tag))
        else:
            types = sorted({tag[2:] for tag in own if tag != OUTSIDE})
            tags = [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in PREFIXES[scheme])]
        return Tags(tags=tuple(tags), scheme=scheme, counts=tuple(known.get(tag, 0) for tag in tags))

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: Tags, place: str) -> NDArray[Any]:
        own, values = stored.about["tags"], stored.values[rows]
        used = {own[i] for i in np.unique(values[values != NONE])}
        if not used <= set(spec.tags):
            raise UserError(
                f"{place}: its tags are {shown(sorted(used))}, the model's are {shown(spec.tags)}; use data of these"
            )
        number = {tag: i for i, tag in enumerate(spec.tags)}
        table = np.array([number.get(tag, NONE) for tag in own] + [NONE], np.int16)  # the last is what -1 finds
        return table[values]

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        """(batch, words), as many as the longest row has."""
        longest = max(int((values != NONE).sum(1).max(initial=0)), 1)
        return {"tags": torch.from_numpy(values[:, :longest].astype(np.int64))}

    def shown(self, stored: Stored, row: int) -> str:
        tags = stored.about["tags"]
        return " ".join(tags[number] for number in stored.values[row].tolist() if number != NONE)

    def strata(self, stored: Stored, rows: NDArray[Any]) -> NDArray[Any]:
        """1 where a row has a tag other than O, if there is O: parts get alike shares of such rows."""
        values = stored.values[rows]
        outside = stored.about["tags"].index(OUTSIDE) if OUTSIDE in stored.about["tags"] else NONE
        some: NDArray[Any] = ((values != outside) & (values != NONE)).any(1).astype(np.uint8)
        return some

    def check_varied(self, values: NDArray[Any], spec: Tags, place: str) -> None:
        used = np.unique(values[values != NONE])
        if len(used) == 1:
            raise UserError(
                f"{place}: every word has the tag {spec.tags[used[0]]}, from which nothing can be learned; choose "
                f"another column than {self.place}"
            )
