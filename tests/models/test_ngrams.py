from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.errors import UserError
from attnpred.explain.base import make
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.ngrams import ROWS, Ngrams, evened
from attnpred.models.transformer import Transformer
from tests.explain.made import texts
from tests.models.made import IMAGE, as_batch, make_config, make_model, make_task, wrapped

SPEC = TextSpec(vocab_size=30, max_length=24, pad_id=0, mask_id=1)


@torch.no_grad()
def scored(longest, *rows):
    """Of each run (number of its tokens, place of its last) of each text: its row of the table, where it has one."""
    rows_of, known = Ngrams(SPEC, 2, longest).rows(texts(*rows).input)
    return [
        {(n + 1, end): row[end, n].item() for end, n in found.nonzero().tolist()}
        for row, found in zip(rows_of, known, strict=True)
    ]


def test_the_same_run_has_the_same_row_wherever_it_stands():
    first, second = scored(3, [5, 6, 7], [9, 9, 5, 6, 7, 8])
    assert set(first) == {(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2)}
    for tokens, end in first:
        assert first[tokens, end] == second[tokens, end + 2]


def test_order_and_length_tell_runs_apart():
    rows = [[a, b, c] for a in range(2, 12) for b in range(2, 12) for c in range(2, 12)]
    found = scored(3, *rows)
    assert all(one[1, end] == row[end] for one, row in zip(found, rows, strict=True) for end in range(3))
    pairs, triples = {one[2, 2] for one in found}, {one[3, 2] for one in found}
    # 100 pairs and 1,000 triples in 262,144 rows: 2 collide in the mean
    assert len(pairs) == 100
    assert len(triples) > 990
    assert len(pairs & triples) < 4
    assert all(SPEC.vocab_size <= row < SPEC.vocab_size + ROWS for row in pairs | triples)


def test_runs_of_a_large_vocabulary_are_spread_evenly():
    spec = replace(SPEC, vocab_size=50_000)
    tokens = torch.randint(2, 50_000, (2_000, 24), generator=torch.Generator().manual_seed(0))
    read = TextInput(tokens=tokens, lengths=torch.full((len(tokens),), 24), padded=False)
    rows, _ = Ngrams(spec, 2, 2).rows(read)
    counts = torch.bincount((rows[:, 1:, 1].flatten() - 50_000) // (ROWS // 64), minlength=64)
    expected = 2_000 * 23 / 64
    assert ((counts - expected).square() / expected).sum() < 120  # chi-squared of 63 degrees: 0.00002 by chance


def test_a_run_with_a_token_taken_away_has_no_score():
    [found] = scored(3, [5, 1, 7, 8])
    assert set(found) == {(1, 0), (1, 2), (1, 3), (2, 3)}


@torch.no_grad()
def test_a_runs_score_is_shared_by_its_tokens_and_nothing_is_lost():
    ngrams = Ngrams(SPEC, 2, 3)
    ngrams.table.weight.normal_(generator=torch.Generator().manual_seed(0))
    batch = texts([5, 6, 7, 1, 8], [9, 10])
    rows, known = ngrams.rows(batch.input)
    scores = ngrams(batch.input)
    whole = 10 * (ngrams.table.weight[rows] * known[..., None]).sum((1, 2))
    torch.testing.assert_close(scores.sum(1), whole)
    pair, single = (10 * ngrams.table.weight[rows[1, 1, n]] for n in (1, 0))
    torch.testing.assert_close(scores[1, 1], single + pair / 2)
    torch.testing.assert_close(evened(scores, batch.input.valid()).sum(1), whole / torch.tensor([[5.0], [2.0]]).sqrt())
    assert not scores[1, 2:].any()


def test_it_starts_as_the_model_without_it():
    specs = {"width": 16, "depth": 1, "heads": 2}
    batch = texts([5, 6, 7], [9, 10])
    answers = []
    for ngrams in (None, 2):
        torch.manual_seed(0)
        config = make_config("transformer", **specs, ngrams=ngrams)
        answers.append(Transformer(config, wrapped(SPEC)).eval()(batch).answer)
    assert torch.equal(*answers)


def test_gradients_hand_each_token_its_share():
    model = make_model("transformer", SPEC, ngrams=3)
    torch.nn.init.zeros_(model.head.weight)  # the scores alone decide
    batch, target = texts([5, 6, 7, 8], [9, 10]), torch.tensor([1, 0])
    with torch.no_grad():
        scores = model.embed.ngrams(batch.input)[torch.arange(2), :, target]
    for name in ("input_x_gradient", "attnlrp"):
        found = make(name, model, make_task())(batch, target)
        torch.testing.assert_close(found, scores / torch.tensor([[4.0], [2.0]]).sqrt())


@torch.no_grad()
def test_importance_is_the_layers_attention_and_the_scores_by_what_each_decides():
    batch = texts([5, 6, 7, 8], [9, 10])
    without, model = (make_model("transformer", SPEC, ngrams=n) for n in (None, 2))
    shared = {key: value for key, value in model.state_dict().items() if "ngrams" not in key}
    without.load_state_dict(shared)
    plain, output = (m(batch, need_attention=True) for m in (without, model))
    # of two classes: half of their difference, by the layers and by each token's scores
    said = (plain.answer[:, 1] - plain.answer[:, 0]).abs() / 2
    scores = evened(model.embed.ngrams(batch.input), batch.input.valid())
    own = (scores[..., 1] - scores[..., 0]).abs() / 2
    expected = said[:, None] * plain.attention.importance + own
    torch.testing.assert_close(output.attention.importance, expected / expected.sum(1, keepdim=True))
    torch.testing.assert_close(output.attention.read, plain.attention.read)


@torch.no_grad()
def test_what_scores_are_known_to_add_need_not_be_predicted():
    model = make_model("transformer", SPEC, ngrams=2, attention_loss="faithful")
    torch.nn.init.zeros_(model.predicted.tell.weight)
    batch = texts([5, 6, 7, 8], [9, 10])
    output = model(batch, need_attention=True)
    scores = model.embed.ngrams(batch.input)[torch.arange(2), :, output.answer.argmax(1)]
    for row, length in enumerate(batch.input.lengths.tolist()):
        found = output.attention.importance[row, :length]
        assert found.argsort().tolist() == scores[row, :length].argsort().tolist()


def test_predicted_attention_hears_the_scores_and_moves_none():
    model = make_model("transformer", SPEC, ngrams=2, attention_loss="faithful")
    batch = texts([5, 6, 7, 8], [9, 10, 11])
    model(batch, need_attention=True).attention.importance[0, 1].backward()
    felt = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.partition(".")[0] for name in felt} == {"predicted"}
    assert "predicted.hear.weight" in felt


def test_images_have_none():
    with pytest.raises(UserError) as error:
        make_model("transformer", IMAGE, ngrams=2)
    assert str(error.value) == "model.ngrams=2: images have no tokens; take null, or a text"


@pytest.mark.parametrize(("longest", "learns"), [(1, False), (2, True)])
def test_pairs_decide_what_single_words_cannot(longest, learns):
    """Pairs of one parity, of words that both classes hold alike; the layers get no chance, since their head is 0."""
    torch.manual_seed(0)
    model = Transformer(make_config("transformer", width=16, depth=1, heads=2, ngrams=longest), wrapped(SPEC))
    torch.nn.init.zeros_(model.head.weight).requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(100):
        first, second = torch.randint(2, 30, (2, 256))
        labels = (first + second) % 2
        tokens = torch.stack((first, second), dim=1)
        batch = as_batch(TextInput(tokens=tokens, lengths=torch.full((256,), 2), padded=False))
        logits = model(batch).answer
        optimizer.zero_grad()
        cross_entropy(logits, labels).backward()
        optimizer.step()
    right = (logits.argmax(1) == labels).float().mean().item()
    assert (right > 0.95) == learns
