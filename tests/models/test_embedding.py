"""Same vectors and gradients as torch's own table, at the cost of the tokens in use."""

import torch
from torch import nn

from attnpred.models.embedding import Embedding

FIRST, SECOND = torch.tensor([[1, 4, 1], [0, 2, 4]]), torch.tensor([[3, 1, 1], [3, 0, 5]])


def tables(padding=0):
    torch.manual_seed(0)
    theirs = nn.Embedding(9, 4, padding_idx=padding)
    mine = Embedding.of(nn.Embedding(9, 4, padding_idx=padding, _weight=theirs.weight.detach().clone()))
    return mine, theirs


def pull(table, tokens):
    torch.manual_seed(1)
    found = table(tokens)
    (found * torch.randn(found.shape)).sum().backward()
    return found


def test_vectors_and_gradient_are_torchs():
    for padding in (0, None):
        mine, theirs = tables(padding)
        assert torch.equal(pull(mine, FIRST), pull(theirs, FIRST))
        torch.testing.assert_close(mine.weight.grad, theirs.weight.grad)


def test_the_next_step_starts_blank_in_the_same_memory():
    mine, theirs = tables()
    mine.reclaim()
    pull(mine, FIRST)
    place = mine.weight.grad.data_ptr()
    mine.weight.grad.mul_(0.5)  # as clipping does
    mine.reclaim()
    assert mine.weight.grad is None
    pull(mine, SECOND)
    pull(theirs, SECOND)
    assert mine.weight.grad.data_ptr() == place
    torch.testing.assert_close(mine.weight.grad, theirs.weight.grad)


def test_gradients_of_several_batches_add_up():
    mine, theirs = tables()
    for batches in ([FIRST, SECOND], [torch.tensor([[7, 8]])], [SECOND]):
        theirs.zero_grad()
        mine.reclaim()
        for tokens in batches:
            pull(mine, tokens)
            pull(theirs, tokens)
        torch.testing.assert_close(mine.weight.grad, theirs.weight.grad)


def test_used_twice_in_one_pass():
    mine, theirs = tables()
    for others in (FIRST, torch.tensor([[7, 8]])):
        theirs.zero_grad()
        mine.reclaim()
        for table in (mine, theirs):
            (table(others).sum() + 2 * table(SECOND).sum()).backward()
        torch.testing.assert_close(mine.weight.grad, theirs.weight.grad)


def test_a_frozen_table_gets_none():
    mine, _ = tables()
    mine.weight.requires_grad_(False)
    assert not mine(FIRST).requires_grad
