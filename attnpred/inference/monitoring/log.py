"""What a service keeps of what it answered: a line of JSON a row, without the input itself unless that is asked for."""

import json
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attnpred.contracts import Batch, ModelOutput
from attnpred.errors import UserError
from attnpred.files import plain_json
from attnpred.inference.monitoring.observer import Observer
from attnpred.inference.monitoring.reference import Reference
from attnpred.inference.monitoring.rows import Rows, from_dicts, together
from attnpred.modalities.reader import Reading

LATEST = 1000  # rows that a service holds against the reference
LONGEST_LINE = 2**20
OWN = ("id", "time", "model", "version", "weights", "input")  # of a line, beside the row


class Log:
    """Writes down what a model was asked and answered, as a predictor's `watch`; gives each row an id."""

    def __init__(
        self, directory: Path, observer: Observer, reference: Reference | None, about: dict[str, str], *, inputs: bool
    ) -> None:
        self.reference = reference
        self._observer, self._about, self._inputs = observer, about, inputs
        self._directory = directory
        self._latest: deque[Rows] = deque()
        self._lock = threading.Lock()
        self.count = 0
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file(datetime.now(UTC)).open("a").close()
        except OSError as error:
            raise UserError(f"--log {directory}: cannot be written ({error.strerror}); name another") from None

    def __call__(self, reading: Reading, batch: Batch, output: ModelOutput) -> list[str]:
        rows = self._observer.of(batch, output)
        rows = replace(rows, vectors=None) if self.reference is None else self.reference.axes.short(rows)
        now = datetime.now(UTC)
        ids = [secrets.token_hex(8) for _ in range(len(batch))]
        lines = []
        for place, row in enumerate(rows.as_dicts()):
            one = {"id": ids[place], "time": now.isoformat(timespec="seconds"), **self._about, **row}
            if self._inputs and not isinstance(reading.inputs[place], bytes):
                one["input"] = reading.inputs[place]
            lines.append(json.dumps(one) + "\n")
        with self._file(now).open("a", encoding="utf-8") as file:
            file.write("".join(lines))
        with self._lock:
            self._latest.append(rows)
            self.count += len(rows)
            while sum(map(len, self._latest)) - len(self._latest[0]) >= LATEST:
                self._latest.popleft()
        return ids

    def latest(self) -> Rows:
        with self._lock:
            return together(list(self._latest))

    def _file(self, now: datetime) -> Path:
        """One a day and process, so that no two write into one."""
        return self._directory / f"{self._about['model']}-{now:%Y-%m-%d}-{os.getpid()}.jsonl"


def read(directory: Path, weights: set[str], last: int) -> tuple[Rows, list[str]]:
    """The newest rows of a model with these weights, and their ids."""
    if not directory.is_dir():
        raise UserError(f"--log {directory}: no such directory; give one that attnpred serve --log keeps")
    latest: deque[dict[str, Any]] = deque(maxlen=last)
    for file in sorted(directory.glob("*.jsonl"), key=lambda one: one.stat().st_mtime_ns):
        latest.extend(row for row in _lines(file) if row.get("weights") in weights)
    ordered = sorted(latest, key=lambda row: str(row.get("time")))
    try:
        rows = from_dicts({name: value for name, value in row.items() if name not in OWN} for row in ordered)
    except ValueError as error:
        raise UserError(f"--log {directory}: {error}; remove what is no log of attnpred serve") from None
    return rows, [str(row.get("id")) for row in ordered]


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """A line that is no row is passed over: a killed service leaves half of one."""
    with file.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE):
            try:
                row = plain_json(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                yield row
