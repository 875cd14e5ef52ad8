"""The contract of models that give an answer for each part, each by itself or as a chain."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from attnpred.contracts import AnswerSpec, Batch, ModelSpec, pick_of
from attnpred.errors import UserError
from attnpred.explain import removal
from attnpred.modalities.words.batch import WordsInput
from attnpred.models.chain import best_path
from tests.models.made import PARTED, WORDED, made, make_model, words_batch

WIDTH = 5
ALONE = AnswerSpec(WIDTH, shape="parts", nothing=0)
CHAINED = replace(ALONE, chained=True)
CHANGES = [{}, {"pooling": "cls"}, {"attention_loss": "faithful"}]
CASES = [(name, modality, changes) for (name, modality), changes in product(PARTED, CHANGES)]
CASES += [("transformer", "words", {"ngrams": 2}), ("transformer", "words", {"ngrams": 2, **CHANGES[2]})]
NAMES = ["-".join((name, modality, *map(str, changes.values()))) for name, modality, changes in CASES]
every = pytest.mark.parametrize(("name", "modality", "changes"), CASES, ids=NAMES)


def model_of(name, modality, answer=ALONE, **changes):
    spec, batch = made(modality)
    (key,) = batch.inputs
    return make_model(name, ModelSpec({key: spec}, answer), **changes), batch


def own_of(batch, parts):
    own = batch.input.own()
    return torch.ones(len(batch), parts, dtype=torch.bool) if own is None else own


@every
@torch.no_grad()
def test_asking_for_attention_changes_no_answer(name, modality, changes):
    model, batch = model_of(name, modality, **changes)
    silent, asked = model(batch), model(batch, need_attention=True)
    assert silent.attention is None
    assert silent.answer.shape[0] == len(batch)
    assert silent.answer.shape[2] == WIDTH
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-5, rtol=1e-5)
    assert torch.equal(asked.answered, silent.answered)


@every
@torch.no_grad()
def test_importance_is_for_one_part_and_lies_on_own_parts(name, modality, changes):
    model, batch = model_of(name, modality, **changes)
    output = model(batch, need_attention=True)
    own = own_of(batch, output.answer.shape[1])
    lean = model(batch, need_attention=True, need_layers=False).attention
    torch.testing.assert_close(lean.importance, output.attention.importance, atol=1e-5, rtol=1e-5)
    assert lean.layers == ()
    importance = output.attention.importance
    assert importance.shape == own.shape
    assert (importance[~own] == 0).all()
    torch.testing.assert_close(importance.sum(1), torch.ones(len(batch)))
    choice = model.spec.answer.choose(output.answer, output.answered)
    chosen = model(batch, need_attention=True, choice=choice).attention
    torch.testing.assert_close(chosen.importance, importance)
    part, _ = model.spec.answer.place(choice)
    assert torch.equal(output.attention.read.argmax(1), part)
    torch.testing.assert_close(output.attention.read.sum(1), torch.ones(len(batch)))
    row = 0  # which has several parts with answers
    other = int((output.answered[row] >= 0).nonzero()[-1])
    moved = choice.clone()
    moved[row] = other * WIDTH + 1
    assert part[row] != other or WIDTH * other + 1 != choice[row]
    found = model(batch, need_attention=True, choice=moved).attention.importance
    assert not torch.allclose(found[row], importance[row], atol=1e-4)
    torch.testing.assert_close(found[1:], importance[1:])


@pytest.mark.parametrize("answer", [ALONE, CHAINED], ids=["alone", "chained"])
@every
def test_every_parameter_gets_a_gradient(name, modality, changes, answer):
    model, batch = model_of(name, modality, answer, **changes)
    output = model.train()(batch, need_attention=True, need_layers=False)
    target = torch.where(output.answered >= 0, output.answered % WIDTH, -1)
    loss = output.answer.square().mean() + output.attention.importance.square().sum()
    if output.chain is not None:
        loss = loss - output.chain.likelihood(target).sum()
    loss.backward()
    idle = [k for k, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [k for k in idle if not k.endswith("key.bias")] == []


@pytest.mark.parametrize("answer", [ALONE, CHAINED], ids=["alone", "chained"])
@pytest.mark.parametrize(("name", "modality"), PARTED)
@torch.no_grad()
def test_a_restored_model_is_the_same(name, modality, answer, tmp_path):
    model, batch = model_of(name, modality, answer)
    model.save_assets(tmp_path)
    restored = type(model).restore(model.config, model.spec, tmp_path).eval()
    restored.load_state_dict(model.state_dict())
    assert torch.equal(restored(batch).answer, model(batch).answer)


@pytest.mark.parametrize("answer", [ALONE, CHAINED], ids=["alone", "chained"])
@pytest.mark.parametrize("name", [name for name, modality in PARTED if modality == "words"])
@torch.no_grad()
def test_padding_changes_nothing(name, answer):
    model, together = model_of(name, "words", answer)
    whole = model(together, need_attention=True)
    for row, length in enumerate(together.input.lengths.tolist()):
        texts = together.input.rows(torch.tensor([row]))
        short = replace(texts, tokens=texts.tokens[:, :length], words=texts.words[:, :length], padded=False)
        alone = model(Batch(inputs={"words": short}, targets={}, ids=together.ids[:1]), need_attention=True)
        torch.testing.assert_close(alone.answer[0], whole.answer[row, :length], atol=1e-5, rtol=1e-5)
        found, importance = alone.attention.importance[0], whole.attention.importance[row]
        torch.testing.assert_close(found, importance[:length], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_words_are_answered_at_their_first_token():
    model, batch = model_of("transformer", "words", CHAINED)
    output = model(batch)
    expected = torch.tensor([-1, 0, 1, -1, -1, 2, -1, 3, 4, -1, -1, 5, -1])
    assert torch.equal(output.answered[0], expected)
    assert (output.answered[2] == -1).all()  # it has no words
    path = best_path(output.chain)
    assert torch.equal(path >= 0, output.answered >= 0)


def test_a_text_of_which_every_token_is_a_part_is_answered_at_each():
    model, batch = model_of("bert", "text")
    answered = model(batch).answered
    assert torch.equal(answered >= 0, batch.input.own())


def test_values_of_words_are_put_on_their_first_tokens():
    batch = words_batch(((2, 1), (1,)))
    found = batch.input.on_parts(torch.tensor([[7, 8], [9, -1]]))
    assert found.tolist() == [[-1, 7, -1, 8, -1], [-1, 9, -1, -1, -1]]
    cut = replace(batch.input, words=torch.tensor([[-1, 0, 5, 5, -1], [-1, 0, -1, -1, -1]]))
    assert isinstance(cut, WordsInput)
    assert cut.on_parts(torch.tensor([[1, 2, 3, 4, 5, 6], [7] + [-1] * 5])).tolist()[0] == [-1, 1, 6, -1, -1]


def test_what_tells_most_is_chosen_and_nothing_only_where_there_is_no_other():
    answer = torch.zeros(2, 3, WIDTH)
    answer[0, 0, 0], answer[0, 1, 2], answer[0, 2, 3] = 9, 2, 4  # sure of nothing; something; more
    answer[1, :, 0] = torch.tensor([9.0, 3.0, 8.0])  # nothing everywhere, least surely in the middle
    answered = torch.tensor([[0, 1, 2], [0, 1, 2]])
    choice = ALONE.choose(answer, answered)
    assert choice.tolist() == [2 * WIDTH + 3, WIDTH]
    hidden = ALONE.choose(answer, torch.tensor([[0, 1, -1], [0, -1, 1]]))
    assert hidden.tolist() == [WIDTH + 2, 2 * WIDTH]
    assert pick_of(answer, choice).tolist() == [4, 3]
    assert pick_of(answer, ~choice).tolist() == [-4, -3]
    part, column = ALONE.place(~choice)
    assert (part.tolist(), column.tolist()) == ([2, 1], [~3, ~0])


def test_numbers_of_parts_that_lie_around_zero_are_chosen_by_how_far_they_are_off():
    centred = AnswerSpec(2, shape="parts", exclusive=False, centred=True)
    answer = torch.tensor([[[1.0, -2.0], [0.5, 3.0]], [[0.0, -5.0], [4.0, 0.0]]])
    assert centred.choose(answer).tolist() == [3, ~1]


def test_ways_to_take_parts_away_that_move_others_are_refused():
    text, _ = made("text")
    assert removal.check("delete", ModelSpec({"text": text}, AnswerSpec(2))) == "delete"
    assert removal.check(None, ModelSpec({"text": text}, ALONE)) == "mask"
    with pytest.raises(UserError, match="removal=delete: not for a model that answers for each part; use mask"):
        removal.check("delete", ModelSpec({"text": text}, ALONE))


def test_the_words_of_the_made_batch_are_a_specification_s():
    assert WORDED.modality == "words"
    WORDED.check()
