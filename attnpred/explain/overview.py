"""What maps say of a whole split: what matters most for each answer, and what mattered where the answer was wrong."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnpred.statistics import share_interval

MOST = 15  # words that are listed
STRONGEST = 3  # words of an example that count as what it hangs on
LEAST = 3  # examples below which a word is chance
Example = Mapping[str, Any]


def overview(examples: Sequence[Example], explainer: str) -> dict[str, Any]:
    """Of one explainer's maps; nothing but its name where there is nothing to tell."""
    found: dict[str, Any] = {"explainer": explainer}
    worded = [example for example in examples if "words" in example]
    if worded:
        found |= {"words": _by_class(worded, explainer), "mistakes": _in_mistakes(worded, explainer)}
        beside = [example for example in worded if "beside" in example["maps"]]
        return found | ({"beside": _apart(beside, explainer)} if beside else {})
    pictured = [example for example in examples if "grid" in example]
    if pictured and len({tuple(example["grid"]) for example in pictured}) == 1:
        found |= {"grid": list(pictured[0]["grid"]), "regions": _regions(pictured, explainer)}
    return found


def _shares(example: Example, explainer: str) -> list[tuple[str, float]]:
    """Each word in small letters with its share of the map, all words' magnitudes together being 1."""
    values = np.array(example["maps"][explainer])
    total = np.abs(values).sum() or 1.0
    return list(zip((word.lower() for word in example["words"]), (values / total).tolist(), strict=True))


def _by_class(examples: Sequence[Example], explainer: str) -> dict[str, list[dict[str, Any]]]:
    """Of each explained answer the words that have most in all: their share in the mean, and in how many they are."""
    sums: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        for word, value in _shares(example, explainer):
            sums[example["explained"]][word].append(value)
    found: dict[str, list[dict[str, Any]]] = {}
    for answer, words in sorted(sums.items()):
        told: list[dict[str, Any]] = [
            {"word": w, "share": float(np.mean(v)), "count": len(v)} for w, v in words.items() if len(v) >= LEAST
        ]
        found[answer] = sorted(told, key=lambda one: -one["share"] * one["count"])[:MOST]
    return {answer: words for answer, words in found.items() if words}


def _in_mistakes(examples: Sequence[Example], explainer: str) -> list[dict[str, Any]]:
    """Words on which more mistakes hang than on others: where a word is among the strongest, how many are wrong."""
    known = [example for example in examples if example["label"] is not None]
    hangs: defaultdict[str, list[bool]] = defaultdict(list)
    for example in known:
        words = sorted(_shares(example, explainer), key=lambda pair: -pair[1])[:STRONGEST]
        for word in {word for word, value in words if value > 0}:
            hangs[word].append(example["wrong"])
    usual = sum(example["wrong"] for example in known) / max(len(known), 1)
    found = []
    for word, wrong in hangs.items():
        if len(wrong) >= LEAST and sum(wrong) > usual * len(wrong):
            rate, low, high = share_interval(sum(wrong), len(wrong))
            told = {"word": word, "count": len(wrong), "wrong": sum(wrong), "rate": rate, "low": low, "high": high}
            found.append({**told, "usual": usual})
    # the bound, so that few examples do not come first
    return sorted(found, key=lambda one: -one["low"])[:MOST]


def _apart(examples: Sequence[Example], explainer: str) -> list[dict[str, Any]]:
    """Words to which two runs give shares that differ most: this one's, and the other's."""
    shares: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for example in examples:
        pairs = zip(_shares(example, explainer), _shares(example, "beside"), strict=True)
        for (word, mine), (_, theirs) in pairs:
            shares[word].append((mine, theirs))
    means = {word: np.mean(values, axis=0) for word, values in shares.items() if len(values) >= LEAST}
    order = sorted(means, key=lambda word: -abs(means[word][0] - means[word][1]) * len(shares[word]) ** 0.5)
    return [
        {"word": word, "here": float(means[word][0]), "there": float(means[word][1]), "count": len(shares[word])}
        for word in order[:MOST]
    ]


def _regions(examples: Sequence[Example], explainer: str) -> dict[str, list[float]]:
    """Each region's mean share for every explained answer, and in mistakes and right answers."""
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for example in examples:
        values = np.array(example["maps"][explainer])
        share = values / (np.abs(values).sum() or 1.0)
        groups[example["explained"]].append(share)
        if example["label"] is not None:
            groups["mistakes" if example["wrong"] else "right answers"].append(share)
    return {name: np.mean(values, axis=0).tolist() for name, values in sorted(groups.items())}
