"""Runs that differ in nothing but seed and fold are one group; and in which options groups differ."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from attnpred.compare.record import Record, Value

# What says where and how a run is kept, not what is trained. How often it is saved and logged matters to the weights
# only where trainer.on_nan goes back to a checkpoint, and there even the same options give other weights.
CHANGES_NOTHING = (
    "output_dir",
    "resume",
    "data.cache_dir",
    "checkpoint.every_steps",
    "checkpoint.every_minutes",
    "trainer.log_every_steps",
    "trainer.profile",
    "trainer.detect_anomaly",
)
SEED, FOLD = "seed", "data.fold"
FIRST = ("model", "data", "task")


@dataclass(frozen=True)
class Group:
    config: Mapping[str, Value]
    runs: tuple[Record, ...]  # by seed and fold, one of each

    @cached_property
    def seeds(self) -> tuple[Value, ...]:
        """Each run's seed; in cross-validation seed and fold in words."""
        return tuple(map(_repeat, self.runs))

    @property
    def folds(self) -> bool:
        """True where its runs are folds of cross-validation."""
        return any(run.config.get(FOLD) is not None for run in self.runs)

    def values(self, metric: str) -> dict[Value, float]:
        """The metric by `seeds`, of those that have it."""
        found = zip(self.seeds, (run.results.get(metric) for run in self.runs), strict=True)
        return {seed: value for seed, value in found if value is not None}

    @property
    def metrics(self) -> set[str]:
        return {name for run in self.runs for name in run.results}

    def versions(self) -> set[str]:
        """The code that trained it, where that is known."""
        return {str(run.about["code"]) for run in self.runs if "code" in run.about}


@cache
def is_apart(name: str) -> bool:
    """Whether an option tells no two groups apart."""
    return name in (SEED, FOLD) or name in CHANGES_NOTHING or name.startswith("logger.")


def comparable(records: Iterable[Record]) -> tuple[list[Record], Counter[str]]:
    """The runs with a result, and how many have none for which reason."""
    kept, left = [], Counter[str]()
    for one in records:
        if one.problem:
            left[f"whose {one.problem}"] += 1
        elif one.status != "done":
            left[f"whose status is {one.status}" if "status" in one.about else "without a status"] += 1
        elif not one.config or not one.results:
            left[f"without {'a config' if not one.config else 'results'}"] += 1
        else:
            kept.append(one)
    return kept, left


def fold(records: Iterable[Record]) -> tuple[list[Group], int]:
    """The groups, and how many runs repeat seed and fold of a newer run, which counts in their place."""
    together: defaultdict[frozenset[tuple[str, Value]], list[Record]] = defaultdict(list)
    for one in records:
        together[frozenset((name, value) for name, value in one.config.items() if not is_apart(name))].append(one)
    groups, repeated = [], 0
    for runs in together.values():
        by_seed = {_repeat(run): run for run in sorted(runs, key=_begun)}
        repeated += len(runs) - len(by_seed)
        config = {name: value for name, value in runs[0].config.items() if not is_apart(name)}
        groups.append(Group(config, tuple(sorted(by_seed.values(), key=_in_order))))
    return groups, repeated


def _repeat(run: Record) -> Value:
    """The option by which a run differs from others of its group."""
    seed, fold = run.config.get(SEED), run.config.get(FOLD)
    return seed if fold is None else f"{seed}, fold {fold}"


def _in_order(run: Record) -> tuple[str, str]:
    return str(run.config.get(SEED)).zfill(12), str(run.config.get(FOLD)).zfill(6)


def _begun(run: Record) -> tuple[str, str]:
    return str(run.about.get("started", "")), str(run.path)


@dataclass(frozen=True)
class Differences:
    """Options in which groups differ: those worth a column, those that follow from one of them, and those that only
    some groups have, as another model or an older version has others."""

    shown: tuple[str, ...]
    implied: tuple[str, ...]
    partial: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.shown + self.implied + self.partial


def differences(groups: Sequence[Group]) -> Differences:
    names = dict.fromkeys(name for group in groups for name in group.config if not _alias(name))
    given = dict.fromkeys(name for group in groups for run in group.runs for name in run.named)
    named = [name for name in given if name in names and name not in FIRST]
    shown: list[str] = []
    implied: list[str] = []
    partial: list[str] = []
    for name in dict.fromkeys([*(name for name in FIRST if name in names), *named, *names]):
        values = [group.config.get(name, ...) for group in groups]
        present = {value for value in values if value is not ...}
        if len(present) == 1 and ... in values:
            partial.append(name)
        elif len(present) > 1:
            wanted = name in FIRST or name in named
            follows = not wanted and any(_follows(groups, name, other) for other in shown)
            (implied if follows else shown).append(name)
    return Differences(tuple(shown), tuple(implied), tuple(partial))


def _alias(name: str) -> bool:
    """Whether `model`, `data` or `task` says the same."""
    return name == "data.name" or name.endswith("_target_")


def _follows(groups: Sequence[Group], name: str, other: str) -> bool:
    """Whether groups that agree in `other` agree in `name`."""
    pairs = {(group.config.get(other, ...), group.config.get(name, ...)) for group in groups}
    return len(pairs) == len({of for of, _ in pairs})
