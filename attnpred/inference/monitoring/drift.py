"""Two samples held against one another, measure by measure: a test, how large the difference is, and an alarm.

An alarm needs both: a difference that chance hardly makes, and one that is large enough to matter. Many rows make the
smallest difference certain, and few rows make a large one by chance.
"""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.inference.monitoring.rows import CONFIDENCE, WRONG, Rows, Vector
from attnpred.statistics import holm

LEVEL = 0.01  # chance of a false alarm by all tests together
# Differences below which nothing is told, set by judgement; how often windows of test data pass them is measured
LEAST = {"KS": 0.12, "shares": 0.12, "MMD": 0.15, "classifier": 0.12, "calibration": 0.08}
COMPARED = 500  # vectors of each side
PERMUTATIONS = 2000
FEW = 20  # rows below which nothing is compared
BINS = 20


@dataclass(frozen=True)
class Measure:
    """One difference. `effect` is 0 for none; what it is depends on the test."""

    name: str
    test: str  # a key of LEAST
    effect: float
    p: float  # of no difference
    corrected: float  # raised for how many were tested
    bound: float  # of the effect, from which on it gives alarm
    alarm: bool
    before: float | None  # the mean in the reference
    now: float | None
    histogram: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    known: Rows, new: Rows, *, least: float = 1.0, level: float = LEVEL, pictures: bool = False
) -> list[Measure]:
    """Every measure that both have. `least` multiplies the bounds of LEAST."""
    if min(len(known), len(new)) < FEW:
        return []
    found = [*_numbers(known, new, pictures), *_labels(known, new, pictures), *_vectors(known.vectors, new.vectors)]
    corrected = holm([one["p"] for one in found])
    measures = []
    for one, p in zip(found, corrected, strict=True):
        bound = least * LEAST[one["test"]]
        measures.append(
            Measure(**one, corrected=float(p or 0.0), bound=bound, alarm=(p or 0.0) < level and one["effect"] > bound)
        )
    return measures


def _numbers(known: Rows, new: Rows, pictures: bool) -> list[dict[str, Any]]:
    from scipy.stats import ks_2samp

    found = []
    for name, values in known.numbers.items():
        if name == WRONG or name not in new.numbers:
            continue
        before, now = (one[np.isfinite(one)] for one in (values, new.numbers[name]))
        if min(len(before), len(now)) < FEW:
            continue
        tested = ks_2samp(before, now, method="asymp")
        found.append(
            {
                "name": name,
                "test": "KS",
                "effect": float(tested.statistic),
                "p": float(tested.pvalue),
                "before": float(before.mean()),
                "now": float(now.mean()),
                "histogram": _histogram(before, now) if pictures else None,
            }
        )
    return [*found, *_calibration(known, new)]


def _calibration(known: Rows, new: Rows) -> list[dict[str, Any]]:
    """How much surer than right the answers are, where truths are known on both sides."""
    if not all(name in one.numbers for name in (CONFIDENCE, WRONG) for one in (known, new)):
        return []
    gaps = []
    for one in (known, new):
        gap = one.numbers[CONFIDENCE] - (1 - one.numbers[WRONG])
        gaps.append(gap[np.isfinite(gap)])
    if min(map(len, gaps)) < FEW:
        return []
    before, now = (float(gap.mean()) for gap in gaps)
    error = math.sqrt(sum(float(gap.var(ddof=1)) / len(gap) for gap in gaps))
    p = math.erfc(abs(now - before) / max(error, 1e-12) / math.sqrt(2))
    effect = abs(now - before)
    return [
        {"name": "answer: calibration", "test": "calibration", "effect": effect, "p": p, "before": before, "now": now}
    ]


def _labels(known: Rows, new: Rows, pictures: bool) -> list[dict[str, Any]]:
    from scipy.stats import chi2_contingency

    found = []
    for name, values in known.labels.items():
        if name not in new.labels:
            continue
        counts = [Counter(values), Counter(new.labels[name])]
        total = counts[0] + counts[1]
        classes = sorted(total, key=lambda one: -total[one])
        rare = [one for one in classes if total[one] * min(len(known), len(new)) / (len(known) + len(new)) < 5]
        kept = [one for one in classes if one not in rare]
        table = np.array(
            [[count[one] for one in kept] + [sum(count[r] for r in rare)] * bool(rare) for count in counts]
        )
        shares = table / table.sum(1, keepdims=True)
        p = float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0
        shown = [*kept, *(["others"] if rare else [])]
        found.append(
            {
                "name": name.replace("label", "label shares"),
                "test": "shares",
                "effect": float(np.abs(shares[0] - shares[1]).sum() / 2),
                "p": p,
                "before": None,
                "now": None,
                "histogram": {"names": shown, "before": shares[0].tolist(), "now": shares[1].tolist()}
                if pictures
                else None,
            }
        )
    return found


def _vectors(known: Vector | None, new: Vector | None) -> list[dict[str, Any]]:
    """What the model makes of inputs: by a kernel (MMD), and by how well a classifier tells old from new."""
    if known is None or new is None or known.shape[1] != new.shape[1]:
        return []
    random = np.random.default_rng(0)
    sides = [one[random.permutation(len(one))[:COMPARED]] for one in (known, new)]
    nothing: dict[str, Any] = {"before": None, "now": None}
    squared, p = mmd(sides[0], sides[1])
    auc, p_auc = classifier(sides[0], sides[1], random)
    return [
        {"name": "embedding: MMD", "test": "MMD", "effect": math.sqrt(max(squared, 0.0)), "p": p, **nothing},
        {
            "name": "embedding: domain classifier",
            "test": "classifier",
            "effect": max(auc - 0.5, 0.0),
            "p": p_auc,
            **nothing,
        },
    ]


def mmd(known: Vector, new: Vector) -> tuple[float, float]:
    """The squared distance of means in the space of a Gaussian kernel, and its p-value by permutation.

    The kernel is as wide as the median distance between vectors (Gretton et al. 2012).
    """
    whole = np.concatenate((known, new)).astype(np.float64)
    norms = (whole**2).sum(1)
    squared = np.maximum(norms[:, None] + norms[None] - 2 * whole @ whole.T, 0.0)
    width = np.median(squared[np.triu_indices(len(whole), 1)])
    kernel = np.exp(-squared / max(width, 1e-12))
    np.fill_diagonal(kernel, 0.0)
    first = _permuted(len(known), len(whole))
    inside = first @ kernel.astype(np.float32)  # (permutations, vectors)
    n, m = len(known), len(new)
    same = (inside * first).sum(1)
    across = inside.sum(1) - same
    other = kernel.sum() - same - 2 * across
    values = same / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)
    # kernels in half the digits tell equal values apart that are none
    return float(values[0]), float((1 + (values[1:] >= values[0] - 1e-7).sum()) / (PERMUTATIONS + 1))


@lru_cache(maxsize=4)
def _permuted(first: int, count: int) -> Vector:
    """Who is of the first side, (permutations + 1, vectors): as they are, and then at random."""
    random = np.random.default_rng(first + count)
    found = np.zeros((PERMUTATIONS + 1, count), np.float32)
    found[0, :first] = 1.0
    for row in found[1:]:
        row[random.permutation(count)[:first]] = 1.0
    return found


def classifier(known: Vector, new: Vector, random: np.random.Generator) -> tuple[float, float]:
    """The area under the curve of a classifier on vectors that it did not learn from, and its p-value by ranks."""
    from scipy.stats import mannwhitneyu
    from sklearn.linear_model import LogisticRegression

    whole, side = np.concatenate((known, new)).astype(np.float64), np.repeat([0, 1], [len(known), len(new)])
    whole = (whole - whole.mean(0)) / np.maximum(whole.std(0), 1e-9)
    order = random.permutation(len(whole))
    scores = np.zeros(len(whole))
    for part in (order[::2], order[1::2]):
        others = np.setdiff1d(order, part)
        if len(set(side[others])) == 2:
            fitted = LogisticRegression(C=0.1, class_weight="balanced").fit(whole[others], side[others])
            scores[part] = fitted.predict_proba(whole[part])[:, 1]  # the folds' own logits have other levels
    tested = mannwhitneyu(scores[side == 1], scores[side == 0], alternative="greater")
    return float(tested.statistic / (len(known) * len(new))), float(tested.pvalue)


def _histogram(before: NDArray[np.float64], now: NDArray[np.float64]) -> dict[str, Any]:
    """Shares of both in the same bins, which leave out the farthest hundredths."""
    low, high = np.quantile(np.concatenate((before, now)), (0.005, 0.995))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    shares = [np.histogram(one.clip(edges[0], edges[-1]), edges)[0] / len(one) for one in (before, now)]
    return {"edges": edges.tolist(), "before": shares[0].tolist(), "now": shares[1].tolist()}
