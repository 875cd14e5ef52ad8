"""What trained runs doubt of the data: labels, tags and numbers, by answers on rows that they did not train on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attnpred.config.options import Config
from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from attnpred.runs.run import Run
from attnpred.survey.column_stats import shown
from attnpred.survey.survey import CHUNK, where
from attnpred.survey.understood import inputs_of
from attnpred.tasks.base import Claim

MOST = 20  # doubts that are listed
SURE = 0.9  # a probability that is enough to doubt a label, however sure the model usually is
FAR = 5.0  # times the usual error from which on a number is doubted
Key = tuple[str, int, str]  # the source's split, the row in it, and what of the row


@dataclass(frozen=True)
class Doubt:
    """`chance` of the answer, or how many times the usual error it is `off`; the largest `order` comes first."""

    key: Key
    given: str
    answer: str
    order: float
    chance: float | None = None
    off: float | None = None
    word: int | None = None


def doubts(runs: Sequence[Run], config: Config, limit: int = MOST) -> dict[str, Any]:
    """The likeliest mistakes first; `config` says where the data lie, as the runs read them."""
    claims = gathered(one for run in runs for one in _claims(run, replace(run.config(), data=config.data)))
    if not claims:
        raise UserError(
            f"--run {runs[0].path}: its task answers with nothing that could doubt the data; give a run of "
            "task=classification, multilabel, regression or tagging"
        )
    found = sorted([*doubted(claims), *far(claims)], key=lambda one: (-one.order, one.key))
    said = _inputs(config, found[:limit])
    return {
        "runs": [str(run.path) for run in runs],
        "rows": len({key[:2] for key in claims}),
        "doubted": len({one.key[:2] for one in found}),
        "shown": [
            {
                "row": said[one.key][0],
                "label": one.given,
                "answer": one.answer,
                "chance": one.chance,
                "off": one.off,
                "input": said[one.key][1],
            }
            for one in found[:limit]
        ],
    }


def gathered(claims: Iterable[tuple[Key, Claim]]) -> dict[Key, Claim]:
    """The mean answer to each thing that the data say."""
    together: defaultdict[Key, list[Claim]] = defaultdict(list)
    for key, claim in claims:
        if claim.number is not None or claim.given in claim.chances:
            together[key].append(claim)
    found = {}
    for key, several in together.items():
        chances = {name: float(np.mean([one.chances[name] for one in several])) for name in several[0].chances}
        answers = [one.answer for one in several if one.answer is not None]
        found[key] = replace(several[0], chances=chances, answer=float(np.mean(answers)) if answers else None)
    return found


def doubted(claims: Mapping[Key, Claim]) -> Iterator[Doubt]:
    """Where another class is as sure as its own rows usually are, or SURE.

    So it is in confident learning (Northcutt et al. 2021): a class's threshold is its mean probability over the rows
    that have its label, so that a class of which the model is never sure does not doubt everything.
    """
    of_class: defaultdict[str, list[float]] = defaultdict(list)
    for one in claims.values():
        if one.chances:
            of_class[one.given].append(one.chances[one.given])
    threshold = {name: min(float(np.mean(values)), SURE) for name, values in of_class.items()}
    for key, one in claims.items():
        sure = {name: chance for name, chance in one.chances.items() if chance >= threshold.get(name, 1.0)}
        best = max(sure, key=lambda name: sure[name], default=one.given)
        if best != one.given and (ahead := sure[best] - one.chances[one.given]) > 0:
            yield Doubt(key, one.given, best, ahead, chance=sure[best], word=one.word)


def far(claims: Mapping[Key, Claim]) -> Iterator[Doubt]:
    """Where a number is farther from the answer than FAR times the usual error, the median of that number's."""
    errors: defaultdict[str, dict[Key, float]] = defaultdict(dict)
    for key, one in claims.items():
        if one.number is not None and one.answer is not None:
            errors[key[2]][key] = abs(one.number - one.answer)
    for of_name in errors.values():
        usual = float(np.median(list(of_name.values())))
        for key, error in of_name.items():
            if usual > 0 and error > FAR * usual:
                yield Doubt(key, claims[key].given, f"{claims[key].answer:.4g}", error / usual, off=error / usual)


def _claims(run: Run, config: Config) -> Iterator[tuple[Key, Claim]]:
    task = run.task()
    for row in _predictions(run, config):
        for claim in task.claims(row):
            yield (row["split"], row["row"], claim.what), claim


def _predictions(run: Run, config: Config) -> Iterator[dict[str, Any]]:
    """Those that a fold kept, else those of the checkpoint on validation and test."""
    from attnpred.machine.device import choose
    from attnpred.training import predictions

    kept = predictions.kept(run.path)
    batches = (
        kept if kept is not None else predictions.predictions(run, config, run.data(config), choose(config.trainer))
    )
    for batch in batches:
        yield from batch


def _inputs(config: Config, found: Sequence[Doubt]) -> dict[Key, tuple[str, str]]:
    """Where each row lies and what of it is doubted, and what its input looks like there."""
    source, columns = open_source(config.data), inputs_of(config.data)
    said = {}
    for split in {one.key[0] for one in found}:
        wanted: defaultdict[int, list[Doubt]] = defaultdict(list)
        for one in found:
            if one.key[0] == split:
                wanted[one.key[1]].append(one)
        start = 0
        for chunk in source.tables(split, "--run", CHUNK):
            count = len(next(iter(chunk.values()), []))
            for row in range(start, start + count):
                for one in wanted.get(row, ()):
                    what = f", {one.key[2]}" if one.key[2] else ""
                    values = [_around(chunk[name][row - start], one.word) for name in columns]
                    said[one.key] = f"{where(source, split, row)}{what}", " | ".join(map(shown, values))
            start += count
            if start > max(wanted):
                break
    return said


def _around(value: Any, word: int | None) -> Any:
    """The words at the one that is doubted, where a row is a list of words."""
    if word is None or not isinstance(value, list):
        return value
    return " ".join([*value[max(0, word - 1) : word], f"[{value[word]}]", *value[word + 1 : word + 2]])
