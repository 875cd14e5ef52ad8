"""BLEU of a corpus, and how sure it is: bootstrap over texts, of one system or of two on the same texts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnpred.errors import UserError

RESAMPLES, LEVEL = 1000, 0.95
Counts = NDArray[np.int64]  # (texts, 10): n-grams that agree, n-grams, and how long answer and reference are


def metric(name: str) -> Any:
    """sacrebleu's BLEU as the field's tables have it, cased and by the tokenizer 13a; or its chrF."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise UserError("BLEU and chrF need the package sacrebleu; pip install 'attnpred[translation]'") from None
    return BLEU() if name == "bleu" else CHRF()


def counts(answers: Sequence[str], references: Sequence[str]) -> Counts:
    """What BLEU is made of, text by text: a corpus' is made of their sums."""
    of_one = metric("bleu")
    found = [of_one.corpus_score([a], [[r]]) for a, r in zip(answers, references, strict=True)]
    rows = [[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in found]
    return np.array(rows, np.int64).reshape(-1, 10)


def of_sums(sums: NDArray[Any]) -> float:
    """The corpus' BLEU, 0 to 100, of the sums of counts, (10,)."""
    whole = [int(value) for value in sums]
    return float(metric("bleu").compute_bleu(whole[:4], whole[4:8], whole[8], whole[9], smooth_method="exp").score)


def drawn(texts: int, seed: int = 0) -> Counts:
    """How often each text is in each of the resamples: (resamples, texts)."""
    random = np.random.default_rng(seed)
    found: Counts = random.multinomial(texts, np.full(texts, 1 / texts), size=RESAMPLES)
    return found


def interval(found: Counts) -> list[float]:
    """BLEU with the bounds within which it would lie for other texts."""
    scores = [of_sums(sums) for sums in drawn(len(found)) @ found]
    low, high = np.quantile(scores, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return [of_sums(found.sum(0)), float(low), float(high)]


def paired(one: Counts, other: Counts) -> tuple[float, float]:
    """How far the first is ahead on the same texts, and the chance of that much where neither is (Koehn 2004)."""
    times = drawn(len(one))
    real = of_sums(one.sum(0)) - of_sums(other.sum(0))
    apart = np.array([of_sums(a) - of_sums(b) for a, b in zip(times @ one, times @ other, strict=True)])
    beyond = (np.abs(apart - apart.mean()) >= abs(real)).sum()
    return real, float((beyond + 1) / (RESAMPLES + 1))
