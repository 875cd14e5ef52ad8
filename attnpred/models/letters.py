"""What words share by their spelling, so that a rare one is known by those it resembles (Bojanowski et al. 2017)."""

import zlib

import torch
import torch.nn.functional as F
from torch import Tensor

from attnpred.modalities.text.batch import TextSpec
from attnpred.models.embedding import Embedding
from attnpred.models.foldable import Foldable

ROWS = 2**15  # that groups of letters share, by their hashes
SHORTEST = 3
AT_ONCE = 1024  # tokens whose sums are made together
ENDS = "\0{}\0"  # of a token: its first and last letters are not what they are inside of one


class Letters(Foldable):
    """Features for every group of 3 to `longest` letters; a token has the sum of its groups', all of which start at 0.

    The sum is divided by the root of their number. What has no spelling, special tokens, has none.
    """

    def __init__(self, spec: TextSpec, speeds: Tensor, longest: int) -> None:
        """`speeds`, (features): how many times as far as others each is moved by a step."""
        super().__init__()
        groups = [rows_of(spec.spelled.get(number, ""), longest) for number in range(spec.vocab_size)]
        counts = torch.tensor([len(rows) for rows in groups])
        # the tokenizer's file tells them: no checkpoint need hold them
        self.register_buffer("rows", torch.tensor([row for rows in groups for row in rows], dtype=torch.int64), False)
        self.register_buffer("counts", counts, False)
        self.register_buffer("first", counts.cumsum(0) - counts, False)  # of each token's rows
        self.register_buffer("speeds", speeds, False)
        self.rows: Tensor
        self.counts: Tensor
        self.first: Tensor
        self.speeds: Tensor
        self.whole: Tensor  # once folded: (tokens, features)
        self.table = Embedding(ROWS, len(speeds), _weight=torch.zeros(ROWS, len(speeds)))

    @torch.no_grad()
    def fold(self) -> None:
        """Makes every token's sum once and for all."""
        if not self.folded:
            every = torch.arange(len(self.counts), device=self.counts.device)
            whole = torch.cat([self(some[None])[0] for some in every.split(AT_ONCE)])
            self.register_buffer("whole", whole, False)
        super().fold()

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) -> (batch, length, features)"""
        if self.folded:
            return F.embedding(tokens, self.whole)
        found, places = tokens.unique(return_inverse=True)
        counts = self.counts[found]
        owner = torch.arange(len(found), device=found.device).repeat_interleave(counts)  # (groups)
        ahead = self.first[found] - (counts.cumsum(0) - counts)  # of a group's place among those found
        each = self.table(self.rows[ahead[owner] + torch.arange(len(owner), device=found.device)])  # (groups, features)
        sums = each.new_zeros(len(found), each.shape[1]).index_add(0, owner, each)
        # an index's gradient is summed in whatever order threads come; a lookup's always in the same
        return self.speeds * F.embedding(places, sums * counts.clamp(min=1)[:, None].to(sums.dtype).rsqrt())


def rows_of(token: str, longest: int) -> list[int]:
    """The rows of a token's groups of letters, each once; none of a token without letters."""
    written = ENDS.format(token)
    sizes = range(SHORTEST, longest + 1)
    groups = {written[start : start + size] for size in sizes for start in range(len(written) - size + 1)}
    return sorted({zlib.crc32(group.encode()) % ROWS for group in groups})
