"""The runs that there are, as a list shows them: what each is, how it stands, and what it reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnpred.compare import index, where
from attnpred.compare.record import Record, held, known
from attnpred.compare.status import DEAD, living, progress

NAMES = ("model", "data", "task", "seed")


@dataclass(frozen=True)
class Listed:
    record: Record

    def result(self) -> tuple[str, float | None]:
        """What the run's checkpoint is chosen by: its best value where it is done, else the newest.

        A run too short for a validation of its own has no such value: then what its test measured.
        """
        name = str(self.record.config.get("checkpoint.monitor"))
        results = self.record.results
        for one in (name, f"test/{name.partition('/')[2]}"):
            if self.record.status == "done" and one in results:
                return one, results[one]
        return name, progress(self.record).metric

    def described(self) -> dict[str, Any]:
        name, value = self.result()
        options = {key: held(self.record.config.get(key)) for key in NAMES}
        told = {"run": str(self.record.path), "problem": self.record.problem, **self.record.about}
        return {**told, **options, "metric": name, "value": known(value), "results": dict(self.record.results)}


def found(places: Sequence[str], texts: Sequence[str]) -> list[Listed]:
    """The runs below the places of which the conditions hold, the oldest first; what was left out is said."""
    conditions = where.conditions(texts)
    there = index.find(places)
    records = sorted(map(living, there.records), key=lambda one: (str(one.about.get("started", "")), str(one.path)))
    where.check([c.name for c in conditions], records)
    index.tell(there, {})
    return [Listed(one) for one in where.chosen(records, conditions)]


def is_dead(one: Listed) -> bool:
    return one.record.status == DEAD
