"""Labels that trained runs doubt: their answers on rows that they did not train on, held against the data's labels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
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

MOST = 20  # doubts that are listed
SURE = 0.9  # a probability that is enough to doubt a label, however sure the model usually is
Key = tuple[str, int]  # the source's split, and the row in it


@dataclass(frozen=True)
class Answer:
    """Of one row the label that the data has, and each class's probability, the mean over runs."""

    label: str
    chances: dict[str, float]


def doubts(runs: Sequence[Run], config: Config, limit: int = MOST) -> dict[str, Any]:
    """The likeliest mistakes first; `config` says where the data lie, as the runs read them."""
    answers = gathered(row for run in runs for row in _predictions(run, replace(run.config(), data=config.data)))
    if not answers:
        raise UserError(
            f"--run {runs[0].path}: its task answers with no classes, whose labels could be doubted; give a run of "
            "task=classification"
        )
    found = doubted(answers)
    said = _inputs(config, [key for key, *_ in found[:limit]])
    return {
        "runs": [str(run.path) for run in runs],
        "rows": len(answers),
        "doubted": len(found),
        "shown": [
            {"row": said[key][0], "label": label, "answer": answer, "chance": chance, "input": said[key][1]}
            for key, label, answer, chance in found[:limit]
        ],
    }


def gathered(rows: Iterable[dict[str, Any]]) -> dict[Key, Answer]:
    """The mean answer to each row that has a label among the classes."""
    together: defaultdict[Key, list[dict[str, float]]] = defaultdict(list)
    labels: dict[Key, str] = {}
    for row in rows:
        chances = row.get("probabilities")
        if isinstance(chances, dict) and row["true"] in chances:
            key = row["split"], row["row"]
            together[key].append(chances)
            labels[key] = row["true"]
    return {
        key: Answer(labels[key], {name: float(np.mean([one[name] for one in several])) for name in several[0]})
        for key, several in together.items()
    }


def doubted(answers: dict[Key, Answer]) -> list[tuple[Key, str, str, float]]:
    """Row, label, answer and its probability, where another class is as sure as its own rows usually are, or SURE.

    So it is in confident learning (Northcutt et al. 2021): a class's threshold is its mean probability over the rows
    that have its label, so that a class of which the model is never sure does not doubt everything.
    """
    of_class: defaultdict[str, list[float]] = defaultdict(list)
    for one in answers.values():
        of_class[one.label].append(one.chances[one.label])
    threshold = {name: min(float(np.mean(values)), SURE) for name, values in of_class.items()}
    found = []
    for key, one in answers.items():
        sure = {name: chance for name, chance in one.chances.items() if chance >= threshold.get(name, 1.0)}
        best = max(sure, key=lambda name: sure[name], default=one.label)
        if best != one.label and sure[best] > one.chances[one.label]:
            found.append((key, one.label, best, sure[best], sure[best] - one.chances[one.label]))
    return [one[:4] for one in sorted(found, key=lambda one: (-one[4], one[0]))]


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


def _inputs(config: Config, keys: Sequence[Key]) -> dict[Key, tuple[str, str]]:
    """Where each row lies, and what its input looks like."""
    source, columns = open_source(config.data), inputs_of(config.data)
    found = {}
    for split in {split for split, _ in keys}:
        wanted = {row for of, row in keys if of == split}
        start = 0
        for chunk in source.tables(split, "--run", CHUNK):
            count = len(next(iter(chunk.values()), []))
            for row in sorted(wanted & set(range(start, start + count))):
                said = " | ".join(shown(chunk[name][row - start]) for name in columns)
                found[split, row] = (where(source, split, row), said)
            start += count
            if start > max(wanted):
                break
    return found
