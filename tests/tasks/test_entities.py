"""Spans and their F1, held against what seqeval 1.2.2 (in its default mode) says of the same tags."""

import pytest
import torch

from attnpred.data.tags_target import Tags
from attnpred.tasks.entities import EntityCounts, Span, scores, spans

READ = {
    "one word": ("bio", "O B-per O", [(1, 2, "per")]),
    "several words": ("bio", "B-per I-per I-per O", [(0, 3, "per")]),
    "two in a row": ("bio", "B-per B-per I-per", [(0, 1, "per"), (1, 3, "per")]),
    "a beginning that is missing": ("bio", "O I-per I-per", [(1, 3, "per")]),
    "another type inside": ("bio", "B-per I-loc I-loc", [(0, 1, "per"), (1, 3, "loc")]),
    "to the last word": ("bio", "O B-loc", [(1, 2, "loc")]),
    "nothing": ("bio", "O O", []),
    "no words": ("bio", "", []),
    "ends and single words": ("bioes", "S-per B-loc I-loc E-loc S-per", [(0, 1, "per"), (1, 4, "loc"), (4, 5, "per")]),
    "behind an end a new one": ("bioes", "B-per E-per I-per", [(0, 2, "per"), (2, 3, "per")]),
    "an end alone": ("bioes", "O E-per E-per", [(1, 2, "per"), (2, 3, "per")]),
    "a beginning without an end": ("bioes", "B-per O", [(0, 1, "per")]),
    "runs of plain tags": ("plain", "per per O loc per", [(0, 2, "per"), (3, 4, "loc"), (4, 5, "per")]),
    "plain tags with a dash": ("plain", "B-x B-x", [(0, 2, "B-x")]),
}


@pytest.mark.parametrize(("scheme", "tags", "found"), READ.values(), ids=READ)
def test_spans_are_read(scheme, tags, found):
    assert spans(tags.split(), scheme) == [Span(*one) for one in found]


# tags out of order too, drawn at random: scheme, true, said, precision, recall and F1 of all sentences together
MEASURED = [
    (
        "bio",
        "O O O B-y I-y I-y O | B-x I-x O",
        "O O B-y I-y I-y I-y O | B-x I-x O",
        *(0.5, 0.5, 0.5),
    ),
    (
        "bio",
        "I-y I-x I-x I-y O B-y | B-x O B-x O I-x B-y | B-x B-y I-y O I-y B-x | O B-x B-y I-x B-x B-y",
        "I-y B-x I-x I-y O O | B-x O B-x O I-y B-x | B-x B-x B-y O I-y B-x | O B-x B-y I-x B-x B-y",
        *(13 / 17, 13 / 17, 13 / 17),
    ),
    (
        "bioes",
        "B-y B-x S-x B-y S-x E-y | B-y I-x E-y E-y I-x O | S-x O B-y I-y O S-y | I-y B-y I-y O E-y O",
        "E-x B-x S-x E-y S-x E-y | B-y B-x E-y B-y O O | E-x O B-y B-y O B-x | I-y B-y I-y O E-y O",
        *(13 / 17, 13 / 17, 13 / 17),
    ),
]


@pytest.mark.parametrize(("scheme", "true", "said", "precision", "recall", "f1"), MEASURED)
def test_measures_are_those_of_seqeval(scheme, true, said, precision, recall, f1):
    rows = [[part.split() for part in text.split("|")] for text in (true, said)]
    tags = sorted({tag for some in rows for row in some for tag in row} | {"O"})
    metric = EntityCounts(Tags(tags=tuple(tags), scheme=scheme, counts=(1,) * len(tags)))
    for of_true, of_said in zip(*rows, strict=True):  # a batch each, with a part in front that has no word
        given, held = ([[-1, *map(tags.index, row)]] for row in (of_said, of_true))
        metric.update(torch.tensor(given).clamp(min=0), torch.tensor(held), torch.tensor(0.5))
    found = metric.compute()
    measured = scores(found["hits"], found["support"], found["said"])
    assert {name: float(value) for name, value in measured.items()} == pytest.approx(
        {"entity_precision": precision, "entity_recall": recall, "entity_f1": f1}
    )
    assert int(found["sentences"]) == len(rows[0])
    assert float(found["loss"]) == pytest.approx(0.5 * len(rows[0]))
    words = sum(map(len, rows[0]))
    right = sum(t == s for of_t, of_s in zip(*rows, strict=True) for t, s in zip(of_t, of_s, strict=True))
    assert (int(found["confusion"].sum()), int(found["right"])) == (words, right)


def test_nothing_said_and_nothing_there_is_no_division():
    zeros = torch.zeros(2, dtype=torch.int64)
    assert [float(value) for value in scores(zeros, zeros, zeros).values()] == [0, 0, 0]
