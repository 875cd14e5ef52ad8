"""Which tokens are hidden, and how texts are packed."""

import numpy as np
import pytest
import torch

from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.modalities.text.hidden import HiddenTokens, Hiding, Words
from attnpred.modalities.text.packing import packed

NAMES = ("", "", "", "un", "##believ", "##able", "film", "good", "plot", "##s")
SPEC = HiddenTokens(names=NAMES, mask_id=2)


def texts_of(rows):
    length = max(map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])
    return TextInput(tokens=tokens, lengths=torch.tensor([len(row) for row in rows]), padded=True)


@pytest.mark.parametrize(
    ("names", "tokens", "firsts"),
    [
        (NAMES, [3, 4, 5, 6, 8, 9], [0, 0, 0, 3, 4, 4]),  # WordPiece
        (("", "un", "able</w>", "film</w>", "s</w>"), [1, 2, 3, 1, 4], [0, 0, 2, 3, 3]),  # BPE by ends
        (("", "Ġun", "able", "Ġfilm", ","), [1, 2, 3, 4], [0, 0, 2, 3]),  # BPE by spaces
        (("", "film", "good"), [1, 2, 1], [0, 1, 2]),  # whole words
    ],
)
def test_words_are_told_by_their_tokens(names, tokens, firsts):
    assert Words(names).first(torch.tensor([tokens])).tolist() == [firsts]


def test_whole_words_are_hidden_and_padding_never():
    texts = texts_of([[3, 4, 5, 6, 7, 8, 9], [6, 1, 7]])
    hiding = Hiding(SPEC, whole_words=True)
    torch.manual_seed(0)
    shares = []
    for _ in range(300):
        hidden = hiding.choose(texts, 0.3, torch.rand(texts.tokens.shape))
        assert hidden[0, 0] == hidden[0, 1] == hidden[0, 2]
        assert hidden[0, 5] == hidden[0, 6]
        assert hidden.any(1).all()
        assert not hidden[1, 1]  # unknown
        assert not hidden[1, 3:].any()
        shares.append(hidden[0].float().mean())
    assert 0.28 < torch.stack(shares).mean() < 0.4  # a word at least is more than the share
    alone = Hiding(SPEC, whole_words=False).choose(texts, 0.3, torch.linspace(0, 1, 14).view(2, 7))
    assert alone[0].tolist() == [True, True, True, True, False, False, False]


def test_some_hidden_tokens_are_shown_or_exchanged():
    texts = texts_of([[6, 7] * 200])
    hiding = Hiding(SPEC, whole_words=False)
    hidden = torch.ones_like(texts.tokens, dtype=torch.bool)
    torch.manual_seed(0)
    seen = hiding.disguised(texts, hidden, torch.rand(texts.tokens.shape), replaced=0.25, kept=0.25)
    assert (seen == 2).float().mean() == pytest.approx(0.5, abs=0.08)
    assert (seen == texts.tokens).float().mean() == pytest.approx(0.25 + 0.25 / 7, abs=0.08)
    assert (seen >= 2).all()


def test_packed_texts_have_no_padding_and_keep_their_order():
    class Reader:
        name = "text"
        spec = TextSpec(vocab_size=50, max_length=8, pad_id=0, mask_id=1, prefix=(2,), suffix=(3,))

    texts = [np.arange(10, 17), np.arange(20, 24), np.arange(30, 33)]
    batch = packed(texts, np.array([5, 8, 9]), Reader)
    assert batch.input.tokens.tolist() == [
        [2, 10, 11, 12, 13, 14, 15, 3],
        [2, 16, 3, 20, 21, 22, 23, 3],
    ]
    assert batch.input.valid() is None
    assert batch.ids.tolist() == [5, 5]
    short = packed(texts[2:], np.array([9]), Reader)
    assert short.input.tokens.tolist() == [[2, 30, 31, 32, 3, 3]]
