"""How sequences are generated, on a made-up model whose every answer is known, and on small ones."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from attnpred.contracts import Generation
from attnpred.models import seq2seq
from attnpred.models.decoding import Decoding, decode, likeliest, most_steps, truncated
from tests.models.generating_made import GENERATION, KINDS, given_batch, make_generating

BEGIN, END, SIZE = 0, 1, 5
MADE = Generation(begin=BEGIN, end=END, longest=4, shared=True)


class Table:
    """What follows a token depends on the sentence and on the token alone."""

    def __init__(self, tables, each):
        self.tables = tables.log().repeat_interleave(each, 0)  # (rows, token, next)
        self.calls = []

    def step(self, tokens):
        self.calls.append(len(tokens))
        return self.tables[torch.arange(len(tokens)), tokens]

    def keep(self, rows, sentences):
        self.tables = self.tables[rows]


@pytest.fixture
def tables():
    random = torch.Generator().manual_seed(3)
    return torch.rand(3, SIZE, SIZE, generator=random).square().softmax(-1)


def chance(table, sequence):
    return sum(math.log(float(table[a, b])) for a, b in zip((BEGIN, *sequence), sequence, strict=False))


def every_answer(longest):
    others = [token for token in range(SIZE) if token != END]
    for length in range(longest):
        yield from ((*start, END) for start in product(others, repeat=length))
    yield from product(others, repeat=longest)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_enough_beams_find_the_best_of_all_answers(tables, penalty):
    most = torch.tensor([4, 4, 3])
    found = decode(lambda each: Table(tables, each), most, MADE, Decoding(beam=200, best=3, length_penalty=penalty))
    for row, table in enumerate(tables):
        ranked = sorted((-chance(table, one) / len(one) ** penalty, one) for one in set(every_answer(int(most[row]))))
        answers = [tuple(t for t in one if t >= 0) for one in found.tokens[row].tolist()]
        assert answers == [one for _, one in ranked[:3]]
        torch.testing.assert_close(found.scores[row], torch.tensor([-score for score, _ in ranked[:3]]))


def test_without_beams_each_token_is_the_likeliest(tables):
    found = decode(lambda each: Table(tables, each), torch.tensor([4, 4, 4]), MADE)
    for table, tokens in zip(tables, found.tokens[:, 0].tolist(), strict=True):
        latest = BEGIN
        for token in tokens:
            assert token == (-1 if latest in (END, -1) else int(table[latest].argmax()))
            latest = token


def test_a_row_that_ended_is_asked_no_more(tables):
    tables[1, BEGIN] = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    model = Table(tables, 1)
    decode(lambda each: model, torch.tensor([2, 4, 4]), MADE)
    assert model.calls[0] == 3
    assert model.calls[1] == 2
    assert max(model.calls[2:], default=1) == 1


def test_what_is_drawn_follows_the_chances_and_the_limits(tables):
    torch.manual_seed(0)
    many = tables[:1].expand(4000, -1, -1).clone()
    found = decode(lambda each: Table(many, each), torch.full((4000,), 1), MADE, Decoding(sample=True))
    share = torch.bincount(found.tokens[:, 0, 0], minlength=SIZE) / 4000
    torch.testing.assert_close(share, tables[0, BEGIN], atol=0.03, rtol=0)
    logits = torch.tensor([[1.0, 4.0, 3.0, 2.0]])
    assert truncated(logits, 2, 1.0).isinf().tolist() == [[True, False, False, True]]
    assert truncated(logits, None, 0.7).isinf().tolist() == [[True, False, False, True]]
    assert truncated(logits, None, 0.1).isinf().tolist() == [[True, False, True, True]]


def test_several_draws_of_a_sentence_come_the_likeliest_first(tables):
    found = decode(lambda each: Table(tables, each), torch.tensor([4, 4, 4]), MADE, Decoding(sample=True, best=4))
    assert found.tokens.shape[:2] == (3, 4)
    assert (found.scores.diff(dim=1) <= 0).all()
    for table, rows, scores in zip(tables, found.tokens.tolist(), found.scores.tolist(), strict=True):
        for row, score in zip(rows, scores, strict=True):
            own = [token for token in row if token >= 0]
            assert END not in own[:-1]
            assert score == pytest.approx(chance(table, own) / len(own), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoding", [Decoding(), Decoding(beam=3, best=2)], ids=["greedy", "beams"])
def test_a_sentence_alone_gets_the_answer_that_it_gets_in_a_batch(kind, decoding):
    model, batch = make_generating(kind), replace(given_batch(), given=None)
    together = model.generate(batch, decoding)
    for row in range(len(batch)):
        one = batch.rows(torch.tensor([row]))
        length = int(one.input.lengths)
        read = replace(one.input, tokens=one.input.tokens[:, :length], padded=False)
        alone = model.generate(one.reading(read), decoding)
        kept = together.tokens[row][:, : alone.tokens.shape[2]]
        assert torch.equal(alone.tokens[0], kept)
        assert (together.tokens[row][:, alone.tokens.shape[2] :] == -1).all()
        torch.testing.assert_close(alone.scores[0], together.scores[row], atol=1e-4, rtol=1e-4)


def test_an_answer_has_room_by_its_own_source_alone():
    found = most_steps(torch.tensor([0, 2, 50]), replace(GENERATION, longest=40))
    assert found.tolist() == [10, 16, 40]


@pytest.mark.parametrize("width", [5, 64 * 4, 64 * 20, 64 * 20 + 7])
def test_the_likeliest_are_those_of_a_full_search(width):
    logits = torch.randn(3, 2, width, generator=torch.Generator().manual_seed(width))
    logits[0, 0, -1] = 9.0  # in what is left behind the last piece, where there is some
    values, places = likeliest(logits, 4)
    expected = logits.topk(4, dim=-1)
    assert torch.equal(values, expected.values)
    assert torch.equal(places, expected.indices)


def test_what_is_let_go_was_behind_no_hypothesis(monkeypatch):
    model, batch = make_generating("rotary"), replace(given_batch(), given=None)
    found = []
    for every in (1, 1000):
        monkeypatch.setattr(seq2seq, "FORGET_EVERY", every)
        found.append(model.generate(batch, Decoding(beam=4, best=4)))
    assert torch.equal(found[0].tokens, found[1].tokens)
    torch.testing.assert_close(found[0].scores, found[1].scores, atol=1e-5, rtol=1e-5)
