"""Which rows of a table a person should label next: those of which a run is least sure, and that it reads differently.

Uncertainty is the entropy of an answer's chances. Rows are alike whose attention lies on the same words
of a text, or on the same places of an image or series.
"""

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnpred.config.options import Config
from attnpred.errors import BadInput, UserError
from attnpred.inference.batch_prediction import readable
from attnpred.inference.each import each
from attnpred.inference.predict import Predictor
from attnpred.inference.tables import Table, input_columns, values_of
from attnpred.runs.run import Run

POOL = 10  # rows that are kept for each that is asked for: among them those that differ are looked for
CHUNK = 1024  # rows at once
SIDE = 8  # regions a side that an image's map is brought to, to be compared


@dataclass
class Candidate:
    row: int
    given: Any
    answer: dict[str, Any]
    uncertainty: float
    looked: Mapping[Any, float]  # what attention lies on, of length 1

    def __lt__(self, other: "Candidate") -> bool:
        return (self.uncertainty, -self.row) < (other.uncertainty, -other.row)


def most_uncertain(
    run: Run, config: Config, file: Path, count: int, diversity: float, columns: list[str]
) -> list[dict[str, Any]]:
    """The rows, the most useful first. `diversity`, 0 to 1, is what being different weighs beside being uncertain."""
    table = Table(file, "attnpred label")
    predictor = Predictor(run, config)
    answer = predictor.task.answer
    if answer.shape != "whole" or answer.centred:
        raise UserError(
            f"{run.path}: its answers have no chances that say how sure it is; give a run of classes or labels"
        )
    wanted = input_columns(config, columns, predictor.reader)
    best: list[Candidate] = []
    for one in _candidates(predictor, table, wanted):
        (heapq.heappush if len(best) < POOL * count else heapq.heappushpop)(best, one)
    return [
        {
            "row": one.row,
            **({} if one.given is None else {"input": one.given}),
            "uncertainty": round(one.uncertainty, 6),
            "answer": predictor.task.headline(one.answer)[0],
            "probabilities": one.answer["probabilities"],
            "label": None,
        }
        for one in chosen(sorted(best, reverse=True), count, diversity)
    ]


def _candidates(predictor: Predictor, table: Table, columns: dict[str, str]) -> Iterator[Candidate]:
    start = 0
    for chunk in table.chunks(list(columns.values()), CHUNK):
        given, rows = [], []
        for place, value in enumerate(values_of(chunk, columns)):
            try:
                given.append(readable(predictor.reader, value, table.file, place))
                rows.append((start + place, value))
            except BadInput as error:
                raise UserError(f"{table.file}, row {start + place}: {error}") from None
        for (row, value), answer in zip(rows, each(predictor, given, None, True), strict=True):
            if isinstance(answer, BadInput):
                raise UserError(f"{table.file}, row {row}: {answer}")
            exclusive = predictor.task.answer.exclusive
            shown = (
                value if isinstance(value, str | Mapping) and "bytes" not in value else None
            )  # not a picture's content
            yield Candidate(row, shown, answer, entropy(answer["probabilities"], exclusive), looked_at(answer))
        start += len(next(iter(chunk.values())))


def entropy(chances: Mapping[str, float], exclusive: bool) -> float:
    """Of classes that compete, as a share of what it can be; of labels the mean of each one's own."""
    if exclusive:
        return sum(-p * math.log(p) for p in chances.values() if p > 0) / math.log(max(len(chances), 2))
    each_own = [-sum(p * math.log(p) for p in (q, 1 - q) if p > 0) / math.log(2) for q in chances.values()]
    return sum(each_own) / len(each_own)


def _each(answer: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The answer's texts, or its inputs with their texts, by name; the answer itself where there is one alone."""
    inside = answer.get("inputs") or answer.get("texts")
    if inside is None:
        yield "", answer
        return
    for name, one in inside.items():
        for inner, found in _each(one):
            yield f"{name}.{inner}", found


def looked_at(answer: Mapping[str, Any]) -> dict[Any, float]:
    """What attention lies on, as a vector of length 1: words of a text by how they are spelt, or places of a map."""
    found: dict[Any, float] = {}
    for name, one in _each(answer):
        if one.get("missing"):
            continue
        if "words" in one:
            for word, share in zip(one["words"], one["attention"], strict=True):
                found[word.lower()] = found.get(word.lower(), 0.0) + abs(share)
        else:
            for place, share in _coarse(one["attention"]):
                key = (name, place) if name else place
                found[key] = found.get(key, 0.0) + abs(share)
    length = math.sqrt(sum(share**2 for share in found.values())) or 1.0
    return {key: share / length for key, share in found.items()}


def _coarse(shares: Any) -> Iterator[tuple[Any, float]]:
    """The map of an image, a row each, on few regions; of a series as it is."""
    if not shares or not isinstance(shares[0], list):
        yield from enumerate(shares)
        return
    for y, line in enumerate(shares):
        for x, share in enumerate(line):
            yield (y * SIDE // len(shares), x * SIDE // len(line)), share


def alike(one: Mapping[Any, float], other: Mapping[Any, float]) -> float:
    """The cosine between two vectors of length 1."""
    few, many = sorted((one, other), key=len)
    return sum(share * many[key] for key, share in few.items() if key in many)


def chosen(candidates: list[Candidate], count: int, diversity: float) -> list[Candidate]:
    """One after the other the candidate that is most uncertain, and least like any chosen before."""
    left = list(candidates)
    found: list[Candidate] = []
    nearest = [0.0] * len(left)  # how alike each is to what was chosen
    while left and len(found) < count:
        worth = [(1 - diversity) * one.uncertainty - diversity * near for one, near in zip(left, nearest, strict=True)]
        place = max(range(len(left)), key=worth.__getitem__)
        taken = left.pop(place)
        nearest.pop(place)
        nearest = [max(near, alike(one.looked, taken.looked)) for one, near in zip(left, nearest, strict=True)]
        found.append(taken)
    return found
