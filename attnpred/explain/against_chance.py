"""Whether explainers differ from one that orders parts at random, tested on the same examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from attnpred.statistics import Difference, difference, holm

FLOOR = "random"
Scores = dict[str, dict[str, float]]  # of one example: explainer, measure, number
Values = dict[str, dict[str, dict[int, float]]]  # explainer, measure, example's place, number


def by_explainer(examples: Sequence[Scores]) -> Values:
    """The same numbers by explainer and measure; an example without one is left out there."""
    found: Values = {}
    for place, scores in enumerate(examples):
        for name, measures in scores.items():
            for measure, value in measures.items():
                found.setdefault(name, {}).setdefault(measure, {})[place] = value
    return found


def against_chance(values: Mapping[str, Mapping[str, Mapping[int, float]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each explainer and measure the mean difference from chance, its interval and a p-value.

    Each is a paired t-test over the examples that both were measured on. The p-values are corrected by Holm for how
    many explainers and measures are tested; p is None where nothing differs.
    """
    floor = values.get(FLOOR, {})
    keys = [(name, measure) for name in values if name != FLOOR for measure in values[name] if measure in floor]
    tests = [
        difference(values[name][measure], floor[measure]) if _paired(values[name][measure], floor[measure]) else None
        for name, measure in keys
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for (name, measure), test, p in zip(
        keys, tests, holm([None if test is None else _p(test) for test in tests]), strict=True
    ):
        if test is not None:
            told = {"difference": test.mean, "low": test.low, "high": test.high, "p": p, "examples": test.n[0]}
            found.setdefault(name, {})[measure] = told
    return found


def _p(test: Difference) -> float | None:
    """Where every example differs by the same, the sign test's."""
    return 2.0 ** (1 - test.n[0]) if test.p is None and test.mean else test.p


def _paired(these: Mapping[int, float], others: Mapping[int, float]) -> bool:
    return len(these.keys() & others.keys()) > 1
