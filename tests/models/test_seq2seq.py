"""Encoder-decoders: what a step sees, what it attends, and that generating is reading what was generated."""

from dataclasses import replace

import pytest
import torch

from attnpred.models.decoding import shifted
from tests.models.generating_made import GENERATION, KINDS, SPEC, given_batch, make_generating

every = pytest.mark.parametrize("kind", KINDS)


@every
@torch.no_grad()
def test_asking_for_attention_changes_no_logit_and_shares_are_of_own_parts(kind):
    model, batch = make_generating(kind), given_batch()
    silent, asked = model(batch), model(batch, need_attention=True)
    lean = model(batch, need_attention=True, need_layers=False)
    assert silent.attention is None
    assert silent.answer.shape == (4, 7, SPEC.answer.width)
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lean.attention.steps, asked.attention.steps)
    own, steps = batch.input.own(), asked.attention.steps
    assert (steps.masked_select(~own[:, None].expand(steps.shape)) == 0).all()
    torch.testing.assert_close(steps.sum(2), torch.ones(4, 7))
    step, _ = SPEC.answer.place(SPEC.answer.choose(asked.answer, asked.answered))
    torch.testing.assert_close(asked.attention.importance, steps[torch.arange(4), step])


@every
@torch.no_grad()
def test_a_step_sees_none_behind_it(kind):
    model, batch = make_generating(kind), given_batch()
    before = model(batch).answer
    batch.given[:, 4] = 6
    after = model(batch).answer
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert not torch.allclose(after[0, 5], before[0, 5])


@every
@torch.no_grad()
def test_going_token_by_token_says_what_reading_them_at_once_does(kind):
    model, batch = make_generating(kind), given_batch()
    memory = model.encode(batch)
    whole, _ = model.decode(batch.given, memory)
    steps = model.begin(memory, 1)
    read = shifted(batch.given, GENERATION)
    for place in range(read.shape[1]):
        torch.testing.assert_close(steps.step(read[:, place]), whole[:, place], atol=1e-4, rtol=1e-4)


@every
@torch.no_grad()
def test_rows_that_change_places_go_on_as_their_own(kind):
    """Two hypotheses a sentence, of which the first sentence's are exchanged and the second sentence leaves."""
    model = make_generating(kind)
    batch = given_batch().rows(torch.tensor([0, 3]))
    tokens = torch.tensor([[7, 9, 8], [11, 12, 13], [14, 15, 16], [17, 18, 19]])
    steps = model.begin(model.encode(batch), 2)
    steps.step(tokens[:, 0])
    steps.step(tokens[:, 1])
    steps.keep(torch.tensor([1, 0]), torch.tensor([0]))
    found = steps.step(tokens[[1, 0], 2])
    alone = batch.rows(torch.tensor([0, 0]))
    behind = torch.cat((tokens[[1, 0]], torch.tensor([[5], [5]])), 1)
    shift = replace(GENERATION, begin=0)
    read = model.begin(model.encode(alone), 1)
    for place in range(3):
        expected = read.step(behind[:, place])
    assert shift.begin == 0
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@every
def test_every_parameter_learns(kind):
    model, batch = make_generating(kind).train(), given_batch()
    answer = model(batch).answer
    there = batch.given >= 0
    torch.nn.functional.cross_entropy(answer[there], batch.given[there]).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in idle if not name.endswith("key.bias")] == []


@every
@torch.no_grad()
def test_a_restored_model_says_the_same(kind, tmp_path):
    model, batch = make_generating(kind), given_batch()
    model.save_assets(tmp_path)
    other = type(model).restore(model.config, model.spec, tmp_path).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch).answer, model(batch).answer)


@every
@torch.no_grad()
def test_without_a_given_answer_the_model_finds_its_own(kind):
    model, batch = make_generating(kind), replace(given_batch(), given=None)
    output = model(batch, need_attention=True)
    assert output.answer.shape[:2] == output.tokens.shape == output.answered.shape
    there = output.tokens >= 0
    assert torch.equal(output.answer.argmax(-1)[there], output.tokens[there])
    assert (output.answered[(output.tokens == GENERATION.end).cumsum(1) > 1] == -1).all()
