"""What each word, and each run of words, says for or against a class, wherever it stands: a linear model's part.

Small corpora teach it more than they teach layers, which are left what is no sum (Cheng et al. 2016, wide and deep).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnpred.data.hashing import scattered
from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.attention import normalise
from attnpred.models.embedding import Embedding

ROWS = 2**18  # that runs of two tokens and more share, by their hashes
SPEED = 10.0  # by AdamW a score moves as fast as a feature does, of which a word has a hundred


class Ngrams(nn.Module):
    """Scores for every run of up to `longest` tokens, shared by the tokens of the run; all start at 0.

    Runs with a token that stands for one taken away have none.
    """

    def __init__(self, spec: TextSpec, width: int, longest: int) -> None:
        """`width`: numbers of an answer."""
        super().__init__()
        self.longest = longest
        self.mask_id = spec.mask_id
        self.first_hashed = spec.vocab_size
        scores = torch.zeros(spec.vocab_size + (ROWS if longest > 1 else 0), width)
        self.table = Embedding(*scores.shape, _weight=scores)  # drawing none: all else starts as without it

    def forward(self, texts: TextInput) -> Tensor:
        """-> (batch, length, classes): each token's share of the scores of the runs that it is part of"""
        rows, scored = self.rows(texts)
        scores = SPEED * self.table(rows) * scored[..., None]  # (batch, length, longest, classes)
        total = scores[:, :, 0]
        for tokens in range(2, self.longest + 1):
            ending = scores[:, :, tokens - 1] / tokens
            for back in range(min(tokens, ending.shape[1])):
                total = total + F.pad(ending[:, back:], (0, 0, 0, back))
        return total

    def rows(self, texts: TextInput) -> tuple[Tensor, Tensor]:
        """Rows of the runs of 1, 2, … tokens that end with each token, and which have one: (batch, length, longest)."""
        known, valid = texts.tokens != self.mask_id, texts.valid()
        known = known if valid is None else known & valid
        rows, scored = [texts.tokens], [known]
        hashed = texts.tokens
        for _ in range(1, self.longest):
            hashed = _mixed(F.pad(hashed[:, :-1], (1, 0))) + texts.tokens
            rows.append(self.first_hashed + _mixed(hashed) % ROWS)
            scored.append(F.pad(scored[-1][:, :-1], (1, 0)) & known)
        return torch.stack(rows, dim=2), torch.stack(scored, dim=2)


def evened(scores: Tensor, valid: Tensor | None) -> Tensor:
    """(batch, length, classes), over the root of each text's length: as that, a sum of chance grows; padding has 0."""
    if valid is None:
        return scores * scores.shape[1] ** -0.5
    return scores * (valid * valid.sum(1, keepdim=True) ** -0.5)[..., None]


def joined(importance: Tensor, said: Tensor, scores: Tensor, own: Tensor | None, *, exclusive: bool) -> Tensor:
    """Each part's say, (batch, parts), where `said`, (batch, width), is due to `importance` and `scores` are added.

    A say is how far it moves the answer, whichever way. Of `exclusive` numbers only the differences count.
    """
    return normalise(importance * _moved(said, exclusive)[:, None] + _moved(scores, exclusive), own)


def _moved(numbers: Tensor, exclusive: bool) -> Tensor:
    """(…, width) -> (…): mean distance from the mean, or from 0; unlike a deviation's, its slope at 0 is a number."""
    numbers = numbers.float()
    return (numbers - numbers.mean(-1, keepdim=True) if exclusive else numbers).abs().mean(-1)


def _mixed(numbers: Tensor) -> Tensor:
    """int64 -> int64, not below 0, whose lower bits depend on all bits given."""
    return scattered(numbers) >> 20 & 2**43 - 1
