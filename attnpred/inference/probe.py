"""A suspicion tested: what a run answers when words of its inputs are exchanged, or some are added."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.errors import UserError
from attnpred.inference.predict import Predictor
from attnpred.runs.run import Run
from attnpred.statistics import interval, share_interval

READ = ("text", "words")  # what has words
SHOWN = 5  # inputs whose answers move most


@dataclass(frozen=True)
class Change:
    """What is done to each input; `what` names it as it was typed."""

    what: str
    text: Callable[[str], str]


def replacing(asked: str) -> Change:
    """`film=movie`: whole words, in small or capital letters; nothing behind the = takes them out."""
    old, sign, new = asked.partition("=")
    if not sign or not old.strip():
        raise UserError(f"--replace {asked}: write OLD=NEW, as film=movie")
    word = re.compile(rf"(?<!\w){re.escape(old.strip())}(?!\w)", re.IGNORECASE)
    return Change(f"replace {asked}", lambda text: word.sub(lambda _: new.strip(), text))


def adding(words: str) -> Change:
    if not words.strip():
        raise UserError("--add: give words to add")
    return Change(f"add {words}", lambda text: f"{text} {words.strip()}")


def probe(
    run: Run, config: Config, changes: Iterable[Change], inputs: Iterable[Any] | None, split: Any, limit: int
) -> list[dict[str, Any]]:
    """Of each change: how many inputs it touches, how often the answer flips, and how far its score moves.

    The score is that of what was answered before, as explanations take it.
    """
    predictor = Predictor(run, config)
    if predictor.reader.name not in READ:
        raise UserError(f"attnpred probe: changes words, and {run.path} reads something else; give a run of texts")
    given = [_plain(one, predictor) for one in (inputs if inputs is not None else _of(run, config, split, limit))]
    return [_probed(predictor, change, given) for change in changes]


def _of(run: Run, config: Config, split: Any, limit: int) -> Iterable[Any]:
    found = list(run.data(config).originals(split))
    step = max(len(found) / limit, 1)  # evenly over the split, which may be in an order
    return [found[int(place * step)] for place in range(min(limit, len(found)))]


def _plain(one: Any, predictor: Predictor) -> Any:
    """An input as the reader takes it: a text, words, or several texts by name."""
    if not isinstance(one, list):
        return one
    names = getattr(predictor.reader.spec, "names", ())
    return dict(zip(names, one, strict=True)) if len(one) > 1 and names else one[0]


def changed(one: Any, change: Change) -> Any:
    """The input after a change, which may be the same; several texts are changed each."""
    if isinstance(one, str):
        return change.text(one)
    if isinstance(one, list) and all(isinstance(word, str) for word in one):
        return change.text(" ".join(one)).split()
    if isinstance(one, Mapping) and all(isinstance(text, str) for text in one.values()):
        return {name: change.text(text) for name, text in one.items()}
    raise UserError("attnpred probe: changes words, and this run reads something else; give a run of texts")


def _probed(predictor: Predictor, change: Change, given: list[Any]) -> dict[str, Any]:
    touched = [(one, other) for one in given if (other := changed(one, change)) != one]
    before, after = ([pair[i] for pair in touched] for i in (0, 1))
    first = _asked(predictor, before)
    second = _asked(predictor, after, [choice for _, _, choice in first])
    flips = [one != other for (one, _, _), (other, _, _) in zip(first, second, strict=True)]
    moved = [other - one for (_, one, _), (_, other, _) in zip(first, second, strict=True)]
    order = sorted(range(len(touched)), key=lambda place: -abs(moved[place]))[:SHOWN]
    return {
        "change": change.what,
        "inputs": len(given),
        "touched": len(touched),
        "flips": sum(flips),
        "flip_rate": list(share_interval(sum(flips), len(flips))) if touched else None,
        "moved": list(interval(torch.tensor(moved).double().numpy())) if touched else None,
        "examples": [
            {"before": before[i], "after": after[i], "answer": [first[i][0], second[i][0]], "moved": moved[i]}
            for i in order
        ],
    }


def _asked(predictor: Predictor, inputs: list[Any], choices: list[int] | None = None) -> list[tuple[str, float, int]]:
    """Of each input the answer in words, the score of a choice, and that choice: its own, where none is given."""
    found: dict[int, tuple[str, float, int]] = {}
    for reading in predictor.reader.readings(iter(inputs), predictor.size):
        _, output = predictor.asked(reading.batch, attention=False)
        places = reading.batch.ids.tolist()
        own = predictor.task.choose(output)
        choice = own if choices is None else torch.tensor([choices[p] for p in places], device=own.device)
        scores = predictor.task.score(output, choice).tolist()
        said = [predictor.task.headline(described)[0] for described in predictor.task.describe(output)]
        found |= dict(zip(places, zip(said, scores, choice.tolist(), strict=True), strict=True))
    return [found[place] for place in range(len(inputs))]
