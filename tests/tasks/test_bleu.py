"""BLEU from counts is sacrebleu's, and its tests tell what there is to tell."""

import pytest

from attnpred.tasks import bleu
from attnpred.tasks.text_scores import corpus_scores

PLACES, COLOURS = "abcdef", ("old", "red", "wet")
REFERENCES = [f"the {colour} dog sees the cat in the {place} ." for colour in COLOURS for place in PLACES]
ANSWERS = [text.replace("sees", "saw") if i % 2 else text for i, text in enumerate(REFERENCES)]
WORSE = [text.replace("the cat", "a bird") for text in ANSWERS]


def test_sums_of_counts_give_the_corpus_score():
    score, _ = corpus_scores(ANSWERS, REFERENCES, ["bleu"])
    assert bleu.of_sums(bleu.counts(ANSWERS, REFERENCES).sum(0)) == pytest.approx(score["bleu"])
    mean, low, high = bleu.interval(bleu.counts(ANSWERS, REFERENCES))
    assert mean == pytest.approx(score["bleu"])
    assert low < mean < high


def test_two_systems_are_told_apart_where_they_differ():
    one, other = bleu.counts(ANSWERS, REFERENCES), bleu.counts(WORSE, REFERENCES)
    apart, p = bleu.paired(one, other)
    assert apart > 5
    assert p < 0.01
    apart, p = bleu.paired(one, one)
    assert (apart, p) == (0.0, 1.0)


def test_summaries_are_counted_by_rouge():
    scores, signatures = corpus_scores(ANSWERS, REFERENCES, ["rouge", "chrf"])
    assert set(scores) == {"chrf", "rouge1", "rouge2", "rougel"}
    assert 50 < scores["rouge2"] < scores["rouge1"] < 100
    assert list(signatures) == ["chrf"]
