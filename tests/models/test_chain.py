"""A chain's sums, checked by going through every sequence of tags."""

from itertools import pairwise, product

import pytest
import torch

from attnpred.models.chain import Chain, best_path

TAGS = 3
ANSWERED = torch.tensor([[-1, 0, -1, 1, 2, -1], [-1, -1, -1, 0, -1, -1], [-1] * 6, [0, 1, 2, 3, -1, -1]])


def made(seed=0):
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randn(len(ANSWERED), ANSWERED.shape[1], TAGS, generator=random, dtype=torch.float64)
    return Chain(numbers.float(), torch.randn(TAGS + 1, TAGS + 1, generator=random), ANSWERED)


def sequences(chain, row):
    """Every sequence of tags of a row with the logarithm of its weight."""
    places = (ANSWERED[row] >= 0).nonzero()[:, 0].tolist()
    found = {}
    for tags in product(range(TAGS), repeat=len(places)):
        score = sum(chain.numbers[row, place, tag] for place, tag in zip(places, tags, strict=True))
        way = [TAGS, *tags, TAGS]
        found[tags] = float(score + sum(chain.steps[a, b] for a, b in pairwise(way)))
    return places, found


ROWS = [0, 1, 3]


@pytest.mark.parametrize("row", ROWS)
def test_a_tags_probability_is_that_of_all_sequences_with_it(row):
    chain = made()
    places, found = sequences(chain, row)
    total = torch.tensor(list(found.values())).logsumexp(0)
    chances = chain.marginals().exp()
    for i, place in enumerate(places):
        for tag in range(TAGS):
            some = torch.tensor([score for tags, score in found.items() if tags[i] == tag])
            assert float(chances[row, place, tag]) == pytest.approx(float((some.logsumexp(0) - total).exp()), rel=1e-4)
    torch.testing.assert_close(chances.sum(2), torch.ones(chances.shape[:2]))


def test_parts_that_the_chain_passes_over_have_their_own_numbers_alone():
    chain = made()
    over = ANSWERED < 0
    torch.testing.assert_close(chain.marginals()[over], chain.numbers[over].log_softmax(-1))


@pytest.mark.parametrize("row", ROWS)
def test_the_likelihood_is_a_sequences_share(row):
    chain = made()
    places, found = sequences(chain, row)
    total = torch.tensor(list(found.values())).logsumexp(0)
    for tags, score in list(found.items())[:10]:
        given = torch.full_like(ANSWERED, -1)
        given[row, places] = torch.tensor(tags)
        assert float(chain.likelihood(given)[row]) == pytest.approx(score - float(total), abs=1e-4)


def test_a_text_without_words_is_sure():
    chain = made()
    assert chain.likelihood(torch.full_like(ANSWERED, -1))[2] == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_is_the_best_of_all(seed):
    chain = made(seed)
    path = best_path(chain)
    for row in ROWS:
        places, found = sequences(chain, row)
        assert tuple(path[row, places].tolist()) == max(found, key=found.get)
    assert (path[ANSWERED < 0] == -1).all()
