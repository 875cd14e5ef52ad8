"""The CPU's own backward pass against attention spelt out, and what it keeps for that pass."""

import pytest
import torch

from attnpred.models import cpu_attention
from attnpred.models.attention import attend

BATCH, HEADS, QUERIES, KEYS, SIZE = 3, 2, 10, 9, 8
KEEP = (torch.arange(KEYS) < torch.tensor([9, 4, 1])[:, None])[:, None, None]  # (batch, 1, 1, key)


@pytest.fixture(params=["short", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("long", "long in blocks"))])
def kind(request, monkeypatch):
    if request.param != "short":
        monkeypatch.setattr(cpu_attention, "SHORT", 0)
    if request.param == "long in blocks":
        monkeypatch.setattr(cpu_attention, "BLOCK", 4 * QUERIES * KEYS)  # of six heads in all
    return request.param


def inputs(dtype=torch.float64):
    torch.manual_seed(0)
    shapes = [(BATCH, HEADS, length, SIZE) for length in (QUERIES, KEYS, KEYS)]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def spelt_out(query, key, value, keep, scale):
    scores = query @ key.transpose(-2, -1) * scale
    if keep is not None:
        scores = scores.masked_fill(~keep, float("-inf"))
    return scores.softmax(-1) @ value


@pytest.mark.parametrize("keep", [None, KEEP], ids=["whole", "padded"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_result_and_gradients_are_those_of_attention(kind, keep, dtype, error):
    tensors = inputs(dtype)
    read = cpu_attention.attend(*tensors, keep, 0.0, 0.3)
    weights = torch.randn_like(read)
    found = [read, *torch.autograd.grad(read, tensors, weights)]
    exact = [t.detach().double().requires_grad_() for t in tensors]
    expected = spelt_out(*exact, keep, 0.3)
    expected = [expected, *torch.autograd.grad(expected, exact, weights.double())]
    for mine, true in zip(found, expected, strict=True):
        assert (mine - true).norm() <= error * true.norm()


@pytest.mark.parametrize("keep", [None, KEEP], ids=["whole", "padded"])
def test_gradients_under_dropout(kind, keep):
    def seeded(*tensors):
        torch.manual_seed(1)
        return cpu_attention.attend(*tensors, keep, 0.4, 0.3)

    tensors = inputs()
    assert torch.equal(seeded(*tensors), seeded(*tensors))
    assert not torch.allclose(seeded(*tensors), spelt_out(*tensors, keep, 0.3))
    assert torch.autograd.gradcheck(seeded, tensors)


def test_dropout_changes_no_mean(kind):
    tensors = [t.detach() for t in inputs(torch.float32)]
    read = torch.stack([cpu_attention.attend(*tensors, None, 0.2, 0.3) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(read, spelt_out(*tensors, None, 0.3), atol=0.06, rtol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_what_is_kept_grows_with_the_length_not_its_square(dropout):
    def kept(length):
        sizes = []
        tensors = [torch.randn(1, 1, length, SIZE, requires_grad=True) for _ in range(3)]
        keep = torch.ones(1, 1, 1, length, dtype=torch.bool)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            attend(*tensors, keep=keep, dropout=dropout, need_weights=False)
        return sum(sizes)

    assert kept(512) == 2 * kept(256)
