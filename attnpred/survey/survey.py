"""A source's content as plain data: columns, parts, odd rows, rows that are alike. One pass, in bounded memory."""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.config import packages, schema
from attnpred.config.data_options import DataConfig
from attnpred.data import arrangement, oddities, twins
from attnpred.data.look import Look
from attnpred.data.oddities import Part
from attnpred.data.open_source import open_source
from attnpred.data.sources import Source, listed
from attnpred.data.splits import ANYHOW, Arrangement, Split, carving, part_of, source_split, usable_rows
from attnpred.data.targets import Stored, Target
from attnpred.errors import UserError
from attnpred.survey.column_stats import ColumnStats
from attnpred.survey.understood import Understood, inputs_of

CHUNK = 1000  # rows in memory at once
SHOWN = 5  # pairs of rows that are listed
PARTS: tuple[Split, ...] = ("train", "val", "test")


def survey(understood: Understood) -> dict[str, Any]:
    config = understood.config
    source = open_source(config.data)
    seen = Seen(source, understood)
    story: dict[str, Any] = {
        "source": config.data.source,
        "command": understood.command,
        "question": understood.question,
        "columns": [{"name": name, **one.story(), "plays": seen.plays(name)} for name, one in seen.columns.items()],
        "splits": [{"name": name, "rows": count} for name, count in seen.rows.items()],
        "facts": [],
        "parts": [],
        "problems": [],
        "warnings": [],
        "refused": seen.refused,
        "pairs": [],
    }
    if seen.look is None:
        return story
    story["facts"] = [list(fact) for fact in seen.look.facts()]
    story["problems"] = [
        {"what": one.what, "count": one.count, "rows": list(map(seen.named, one.rows)), "remedy": one.remedy}
        for one in seen.look.problems.values()
    ]
    story["problems"] += seen.bad_targets()
    if seen.targets and not seen.refused:
        try:
            parts = list(seen.parts())
            seen.check_apart(parts)
        except UserError as error:
            story["refused"] = str(error)
        else:
            story["parts"] = [
                {"part": part.split, "place": part.place, "rows": len(part.rows), "classes": part.counts}
                for part in parts
            ]
            story["warnings"] = [*oddities.shared(parts), *oddities.rare(parts), *oddities.lacking(parts)]
            story["pairs"] = list(seen.pairs(parts))
    return story


class Seen:
    """All rows of a source, once; rows count over all of its splits."""

    def __init__(self, source: Source, understood: Understood) -> None:
        self.source, self.data = source, understood.config.data
        self.columns: dict[str, ColumnStats] = {}
        self.rows: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.targets: dict[str, Stored] = {}
        self.refused: str | None = None
        self.inputs = inputs_of(self.data)
        task: Any = schema.load(understood.config.task._target_)
        self.target: Target[Any] | None = None
        self.look: Look | None = None
        if understood.question is None:
            settled = task.settled(understood.config.task, self.data)
            self.target = task.target(settled, *settled.target_columns(self.data))
            self.look = _look(self.data, source)
        start = 0
        for split in source.splits():
            self.starts[split] = start
            self._read(split)
            start += self.rows[split]

    def _read(self, split: str) -> None:
        option = next((f"data.{part}_split" for part in PARTS if source_split(self.data, part)[0] == split), "")
        collector: Any = None
        if option and self.target is not None:
            names = [self.source.class_names(split, option, column) for column in self.target.columns]
            collector = self.target.collector(names)
        self.rows[split] = 0
        for chunk in self.source.tables(split, option or "data.source", CHUNK):
            for name, values in chunk.items():
                self.columns.setdefault(name, ColumnStats()).add(values)
            count = len(next(iter(chunk.values()), []))
            self.rows[split] += count
            usable = None
            if self.look is not None:
                self._require(chunk, split)
                good = self.look.add([chunk[name] for name in self.inputs])
                usable = good if self.data.on_bad_row == "skip" else None
            if collector is not None and self.target is not None and self.refused is None:
                try:
                    self._require_targets(chunk, split)
                    collector.add([chunk[name] for name in self.target.columns], usable)
                except UserError as error:
                    self.refused = str(error)
        if collector is not None and self.refused is None:
            self.targets[split] = collector.finish()

    def _require(self, chunk: dict[str, list[Any]], split: str) -> None:
        missing = [name for name in self.inputs if name not in chunk]
        if missing:
            raise UserError(
                f"{missing[0]}: split {split} of {self.data.source} has no such column; it has {listed(chunk)}"
            )

    def _require_targets(self, chunk: dict[str, list[Any]], split: str) -> None:
        assert self.target is not None
        missing = [name for name in self.target.columns if name not in chunk]
        if missing:
            raise UserError(
                f"{self.target.place}: split {split} of {self.data.source} has no column {missing[0]}; name another"
            )

    def plays(self, column: str) -> str | None:
        """The option that names a column."""
        for name in ("split_column", "group_column", "time_column", "evidence_column"):
            if getattr(self.data, name) == column:
                return f"data.{name}"
        if column in self.inputs:
            return "input"
        return "target" if self.target is not None and column in self.target.columns else None

    def named(self, row: int) -> str:
        """A row by its split, number and file."""
        split = self._split_of(row)
        return where(self.source, split, row - self.starts[split])

    def bad_targets(self) -> Iterator[dict[str, Any]]:
        for split, stored in self.targets.items():
            assert self.target is not None
            bad = np.flatnonzero(~self.target.usable(stored))
            if len(bad):
                rows = [self.named(self.starts[split] + int(row)) for row in bad[:SHOWN]]
                what = f"without a target (the first {self.target.complaint(stored, int(bad[0]))})"
                remedy = "mend them, or set data.on_bad_row=skip"
                yield {"what": what, "count": len(bad), "rows": rows, "remedy": remedy}

    def parts(self) -> Iterator[Part]:
        """Train, val and test as training makes them, of the rows that can be used."""
        assert self.target is not None
        assert self.look is not None
        digests = np.frombuffer(self.look.digests, np.uint64)
        for split in PARTS:
            name, option = source_split(self.data, split)
            if name not in self.targets:
                raise UserError(f"{option}={name}: {self.data.source} has no such split; it has {listed(self.rows)}")
            stored, bound = self.targets[name], self._bound(name, option)
            good = usable_rows(self.target.usable(stored), bound)
            rows = part_of(good, self.data, split, self.target.strata(stored, good), bound)
            counts = self.target.counts(stored, rows)
            yield Part(
                split, name, f"{option}={name}", rows, counts, digests[self.starts[name] + rows.astype(np.int64)]
            )

    def _bound(self, name: str, option: str) -> Arrangement:
        columns = arrangement.column_of(self.data)
        if not columns or name != self.data.train_split or not carving(self.data):
            return ANYHOW
        return arrangement.arranged(self._numbers(name, option), self.data)

    def _numbers(self, name: str, option: str, *, everywhere: bool = False) -> NDArray[Any]:
        chunks = self.source.chunks(name, option, arrangement.column_of(self.data), arrangement.CHUNK)
        return arrangement.collected(self.data, chunks, f"{option}={name}", everywhere=everywhere)

    def check_apart(self, parts: list[Part]) -> None:
        """As training does, over the splits that the source itself has."""
        if not arrangement.column_of(self.data) or len({part.name for part in parts}) == 1:
            return
        numbers = {part.name: self._numbers(part.name, part.place.partition("=")[0], everywhere=True) for part in parts}
        sides = [arrangement.Side(part.split, part.name, part.rows, numbers[part.name][part.rows]) for part in parts]
        arrangement.require_apart(self.data, sides)

    def pairs(self, parts: list[Part]) -> Iterator[dict[str, Any]]:
        """Equal and nearly equal rows: how many, on both sides of a part's border, and with different targets."""
        assert self.look is not None
        of_row = np.full(len(self.look.digests), -1, np.int8)
        for number, part in enumerate(parts):
            of_row[self.starts[part.name] + part.rows.astype(np.int64)] = number
        equal = twins.equal(np.frombuffer(self.look.digests, np.uint64))
        for kind, found in (("equal", equal), ("nearly equal", self.look.near())):
            yield {"kind": kind, **self._counted(found, of_row)}

    def _counted(self, found: Iterator[tuple[int, int]], of_row: NDArray[np.int8]) -> dict[str, Any]:
        count = across = other = 0
        shown: list[dict[str, Any]] = []
        for one, again in found:
            if of_row[one] < 0 or of_row[again] < 0:
                continue
            count += 1
            borders = of_row[one] != of_row[again] and 0 in (of_row[one], of_row[again])
            labels = [self._target_of(one), self._target_of(again)]
            across += bool(borders)
            other += labels[0] != labels[1]
            if (borders or labels[0] != labels[1]) and len(shown) < SHOWN:
                rows = [f"{PARTS[of_row[row]]}: {self.named(row)}" for row in (one, again)]
                shown.append({"rows": rows, "targets": labels})
        return {"count": count, "across": across, "other_target": other, "shown": shown}

    def _target_of(self, row: int) -> str:
        assert self.target is not None
        split = self._split_of(row)
        return self.target.shown(self.targets[split], row - self.starts[split])

    def _split_of(self, row: int) -> str:
        return next(name for name in reversed(self.starts) if self.starts[name] <= row and self.rows[name])


def where(source: Source, split: str, row: int) -> str:
    """`row 7 of train (part-1.csv)`"""
    file = source.file_of(split, row)
    return f"row {row} of {split}" + (f" ({file})" if file else "")


def _look(data: DataConfig, source: Source) -> Look | None:
    """The modality's; None where it has none."""
    for place in ("attnpred.modalities", *(f"{package}.modalities" for package in packages.trusted())):
        name = f"{place}.{data.modality}.look"
        if packages.file_of(name) is not None:
            found: Look = importlib.import_module(name).LOOK(data, source.reach)
            return found
    return None
