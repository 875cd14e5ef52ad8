"""The recurrent model reads as torch's own cells do, and what is padded counts for nothing."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attnpred.models.recurrent import States, _turned, backwards


@pytest.mark.parametrize(("cell", "kind"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
@torch.no_grad()
def test_both_directions_give_what_a_packed_cell_of_two_does(cell, kind):
    torch.manual_seed(0)
    lengths, x = torch.tensor([7, 3, 1, 5]), torch.randn(4, 7, 6)
    both = kind(6, 5, batch_first=True, bidirectional=True)
    apart = States(cell, 6, 5, 2)
    for own, suffix in zip(apart.cells, ("", "_reverse"), strict=True):
        for name, weight in own.named_parameters():
            weight.copy_(both.get_parameter(name + suffix))
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    wanted = pad_packed_sequence(both(packed)[0], batch_first=True)[0]
    found = apart(x, backwards(7, lengths, x.device))
    inside = (torch.arange(7) < lengths[:, None])[..., None]
    torch.testing.assert_close(found * inside, wanted)
    # where nothing is padded too
    torch.testing.assert_close(apart(x, backwards(7, None, x.device)), both(x)[0])


@pytest.mark.parametrize("turned", [1, 2])
def test_the_gradient_of_turned_sequences_is_turned(turned):
    torch.manual_seed(0)
    lengths, x = torch.tensor([7, 3, 1, 5]), torch.randn(4, 7, 6, requires_grad=True)
    places = backwards(7, lengths, x.device)
    wanted = x.gather(1, places[..., None].expand(-1, -1, 6))
    weights = torch.randn(4, 7, 6)
    found = _turned(x, places)
    for _ in range(turned - 1):
        wanted, found = wanted.gather(1, places[..., None].expand(-1, -1, 6)), _turned(found, places)
    assert torch.equal(found, wanted)
    (ours,) = torch.autograd.grad((found * weights).sum(), x, retain_graph=True)
    (theirs,) = torch.autograd.grad((wanted * weights).sum(), x)
    assert torch.equal(ours, theirs)


def test_an_lstm_is_one_kernel_a_direction():
    x, layer = torch.randn(4, 7, 6), States("lstm", 6, 5, 2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        layer(x, backwards(7, None, x.device))
    counts = {one.key: one.count for one in profiled.key_averages()}
    assert counts["aten::mkldnn_rnn_layer"] == 2


def test_a_gru_is_in_float32_on_a_cpu_where_that_is_quicker():
    x = torch.randn(4, 7, 6)
    with torch.autocast("cpu", torch.bfloat16):
        found = {cell: States(cell, 6, 5, 2)(x, backwards(7, None, x.device)).dtype for cell in ("lstm", "gru")}
    assert found == {"lstm": torch.bfloat16, "gru": torch.float32}
