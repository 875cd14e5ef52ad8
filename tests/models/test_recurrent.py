"""The recurrent model reads as torch's own cells do, and what is padded counts for nothing."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attnpred.models.recurrent import States, backwards


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
