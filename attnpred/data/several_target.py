"""Several targets a row, one for each of several tasks, kept side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnpred.contracts import TargetSpec
from attnpred.data.targets import Collector, Stored, Target

SEPARATOR = "/"  # between a member's name and that of a tensor of its target, or of a metric


@dataclass(frozen=True, kw_only=True)
class MemberSpecs(TargetSpec):
    """Of each member, by its name, what its target's specification says as plain values."""

    members: Mapping[str, Mapping[str, Any]]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        members = values.get("members") if values.keys() == {"members"} else None
        if not isinstance(members, dict) or not members or not all(isinstance(one, dict) for one in members.values()):
            raise ValueError("its members are missing, or of another type")
        return cls(members=members)


class Member(NamedTuple):
    """One of several targets, and the class of its specification."""

    target: Target[Any]
    spec: type[TargetSpec]


class SeveralCollector(Collector):
    def __init__(self, members: Mapping[str, tuple[int, Collector]]) -> None:
        """`members`: of each, how many of the columns are its own, and what collects them."""
        self._members = members

    def add(self, columns: Sequence[list[Any]], usable: Sequence[bool] | None = None) -> None:
        start = 0
        for count, collector in self._members.values():
            collector.add(columns[start : start + count], usable)
            start += count

    def finish(self) -> Stored:
        found = {name: collector.finish() for name, (_, collector) in self._members.items()}
        return Stored(
            beside({n: s.values for n, s in found.items()}), {"members": {n: s.about for n, s in found.items()}}
        )


class SeveralTarget(Target[MemberSpecs]):
    """Rows are strata by the first member that has some, and drawn evenly by the classes of that one."""

    kind = "several-1"

    def __init__(self, members: Mapping[str, Member], option: str) -> None:
        super().__init__([column for one in members.values() for column in one.target.columns], option)
        self.members = members

    @property
    def place(self) -> str:
        return " and ".join(one.target.place for one in self.members.values())

    def key(self) -> dict[str, Any]:
        return {"kind": self.kind, "members": {name: one.target.key() for name, one in self.members.items()}}

    def collector(self, names: Sequence[list[str] | None]) -> SeveralCollector:
        rest, found = list(names), {}
        for name, one in self.members.items():
            count = len(one.target.columns)
            found[name] = (count, one.target.collector(rest[:count]))
            rest = rest[count:]
        return SeveralCollector(found)

    def usable(self, stored: Stored) -> NDArray[np.bool_]:
        good: NDArray[np.bool_] = np.all([t.usable(own(stored, n)) for n, (t, _) in self.members.items()], axis=0)
        return good

    def complaint(self, stored: Stored, row: int) -> str:
        for name, (target, _) in self.members.items():
            if not target.usable(own(stored, name))[row]:
                return f"{target.complaint(own(stored, name), row)} (of {name})"
        raise AssertionError("the row is usable")

    def spec(self, stored: Stored, rows: NDArray[Any]) -> MemberSpecs:
        return MemberSpecs(
            members={n: target.spec(own(stored, n), rows).as_dict() for n, (target, _) in self.members.items()}
        )

    def adapted(self, stored: Stored, rows: NDArray[Any], spec: MemberSpecs, place: str) -> NDArray[Any]:
        return beside(
            {
                name: target.adapted(own(stored, name), rows, kind.from_dict(spec.members[name]), place)
                for name, (target, kind) in self.members.items()
            }
        )

    def tensors(self, values: NDArray[Any]) -> dict[str, Tensor]:
        return {
            f"{name}{SEPARATOR}{key}": tensor
            for name, (target, _) in self.members.items()
            for key, tensor in target.tensors(np.ascontiguousarray(values[name])).items()
        }

    def strata(self, stored: Stored, rows: NDArray[Any]) -> NDArray[Any] | None:
        found = (target.strata(own(stored, name), rows) for name, (target, _) in self.members.items())
        return next((strata for strata in found if strata is not None), None)

    def shown(self, stored: Stored, row: int) -> str:
        return ", ".join(f"{n}: {target.shown(own(stored, n), row)}" for n, (target, _) in self.members.items())

    def counts(self, stored: Stored, rows: NDArray[Any]) -> dict[str, int] | None:
        found = (target.counts(own(stored, name), rows) for name, (target, _) in self.members.items())
        return next((counts for counts in found if counts is not None), None)

    def weights(self, values: NDArray[Any], spec: MemberSpecs) -> NDArray[np.floating[Any]]:
        drawn = [name for name, (target, _) in self.members.items() if type(target).weights is not Target.weights]
        if not drawn:
            return super().weights(values, spec)
        target, kind = self.members[drawn[0]]
        return target.weights(values[drawn[0]], kind.from_dict(spec.members[drawn[0]]))

    def check_varied(self, values: NDArray[Any], spec: MemberSpecs, place: str) -> None:
        for name, (target, kind) in self.members.items():
            target.check_varied(values[name], kind.from_dict(spec.members[name]), place)


def beside(values: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Arrays of as many rows as one, whose fields have their names."""
    rows = len(next(iter(values.values())))
    found = np.empty(rows, [(name, one.dtype, one.shape[1:]) for name, one in values.items()])
    for name, one in values.items():
        found[name] = one
    return found


def own(stored: Stored, name: str) -> Stored:
    """One member's part."""
    return Stored(stored.values[name], stored.about["members"][name])
