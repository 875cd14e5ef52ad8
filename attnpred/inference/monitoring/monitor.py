"""New rows, of a table or of a service's log, held against a run's reference."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attnpred.config.options import Config
from attnpred.errors import BadInput, UserError
from attnpred.inference.batch_prediction import readable
from attnpred.inference.export import described
from attnpred.inference.monitoring import drift, log, reference
from attnpred.inference.monitoring.observer import Observer
from attnpred.inference.monitoring.reference import Reference, Split
from attnpred.inference.monitoring.report import story_of
from attnpred.inference.monitoring.rows import LABEL, WRONG, Rows, together
from attnpred.inference.predict import Predictor
from attnpred.inference.tables import Table, input_columns, values_of
from attnpred.inference.weights import digest_of
from attnpred.runs.run import Run


@dataclass
class Asked:
    on: Path | None = None
    log: Path | None = None
    columns: list[str] = field(default_factory=list)  # that hold the input, in `on`
    label: str | None = None  # the column of the truth: in `on`, or beside ids in `labels`
    labels: Path | None = None  # a table of ids and truths, for a log
    last: int = 1000  # rows
    least: float = 1.0  # what the bounds are multiplied by
    split: Split | None = None  # None takes the reference that there is, and else makes one that fits


def monitor(run: Run, config: Config, asked: Asked) -> dict[str, Any] | None:
    """The story of a comparison; None where only the reference was asked for."""
    known = reference.find(run)
    if known is None or asked.split not in (None, known.about["split"]):
        known = reference.make(run, config, asked.split)
    if asked.on is None and asked.log is None:
        return None
    if asked.on is not None:
        rows, source = _of_table(run, config, asked, known), asked.on.name
    else:
        assert asked.log is not None
        rows, source = _of_log(run, asked), asked.log.name
    if len(rows) < drift.FEW:
        raise UserError(f"{source}: has {len(rows)} rows that can be read; a comparison needs {drift.FEW} or more")
    found = drift.compare(known.rows, rows, least=asked.least, pictures=True)
    return story_of(run, known, source, len(rows), found)


def _of_table(run: Run, config: Config, asked: Asked, known: Reference) -> Rows:
    assert asked.on is not None
    predictor = Predictor(run, config)
    observer = Observer(predictor)
    columns = input_columns(config, asked.columns, predictor.reader)
    wanted = list(dict.fromkeys([*columns.values(), *([asked.label] if asked.label else [])]))
    values, truths = _sampled(Table(asked.on, "--on").chunks(wanted), columns, asked)
    inputs, kept = [], []
    for place, value in enumerate(values):
        try:
            inputs.append(readable(predictor.reader, value, asked.on, place))
            kept.append(place)
        except BadInput:
            continue
    parts, places = [], []
    for reading in predictor.reader.readings(iter(inputs), predictor.size):
        parts.append(observer.rows(reading.batch))
        places += reading.batch.ids.tolist()
    rows = together(parts)
    if asked.label is not None:
        rows = _judged(rows, [truths[kept[place]] for place in places], predictor.task.names())
    return known.axes.short(rows)


def _sampled(
    chunks: Iterator[dict[str, list[Any]]], columns: dict[str, str], asked: Asked
) -> tuple[list[Any], list[Any]]:
    """At most `last` rows, drawn from all of the table as it goes by."""
    random = np.random.default_rng(0)
    values: list[Any] = []
    truths: list[Any] = []
    seen = 0
    for chunk in chunks:
        labels = chunk[asked.label] if asked.label else [None] * len(next(iter(chunk.values())))
        for value, label in zip(values_of(chunk, columns), labels, strict=True):
            seen += 1
            if len(values) < asked.last:
                values.append(value)
                truths.append(label)
            elif (place := int(random.integers(seen))) < asked.last:
                values[place], truths[place] = value, label
    return values, truths


def _judged(rows: Rows, truths: list[Any], names: list[str]) -> Rows:
    """With which answers are wrong, where the truth is known: as a name, or as a class's number."""
    if LABEL not in rows.labels:
        raise UserError("--label: is for runs whose answer is a class; leave it out")
    known = {name: name for name in names}
    known = {**{str(number): name for number, name in enumerate(names)}, **known}
    pairs = zip(truths, rows.labels[LABEL], strict=True)
    wrong = [math.nan if str(true) not in known else float(known[str(true)] != said) for true, said in pairs]
    return rows.with_number(WRONG, wrong)


def _of_log(run: Run, asked: Asked) -> Rows:
    assert asked.log is not None
    weights = {digest_of(run.checkpoint())}
    for file in run.path.glob(f"export/*/{described.FILE}"):
        weights.add(digest_of(file.parent / described.read(file.parent).file))
    rows, ids = log.read(asked.log, weights, asked.last)
    if asked.labels is None:
        return rows
    truths: dict[str, Any] = {}
    for chunk in Table(asked.labels, "--labels").chunks(["id", asked.label or "label"]):
        truths.update(zip(map(str, chunk["id"]), chunk[asked.label or "label"], strict=True))
    return _judged(rows, [truths.get(one) for one in ids], run.task().names())
