"""Cross-entropy block by block is the library's."""

import pytest
import torch
import torch.nn.functional as F

from attnpred.tasks.token_loss import ROWS, token_losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_and_gradients_are_those_of_the_library(smoothing):
    torch.manual_seed(0)
    logits = torch.randn(ROWS + 7, 11, requires_grad=True)
    tokens = torch.randint(0, 11, (ROWS + 7,))
    tokens[::5] = -1
    other = logits.detach().clone().requires_grad_()
    found = token_losses(logits, tokens, smoothing)
    expected = F.cross_entropy(other, tokens, ignore_index=-1, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(found, expected)
    weights = torch.rand(len(tokens))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(logits.grad, other.grad)
