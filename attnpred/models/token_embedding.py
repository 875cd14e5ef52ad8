"""Tokens as vectors, by themselves, by their letters, and by the runs that they are part of."""

import torch
from torch import Tensor, nn

from attnpred.modalities.text.batch import TextInput, TextSpec
from attnpred.models.embedding import Embedding
from attnpred.models.letters import Letters
from attnpred.models.ngrams import SPEED, Ngrams
from attnpred.models.positions import EMBEDDING_DEVIATION


class TokenEmbedding(nn.Module):
    """A vector a token, and with `ngrams` the token's scores behind it, so that they are seen as input too.

    Where several texts are read together, each has a vector of its own, which is added to those of its tokens.
    """

    def __init__(
        self, spec: TextSpec, answer_width: int, width: int, *, ngrams: int | None = None, letters: int | None = None
    ) -> None:
        super().__init__()
        self.table = Embedding(spec.vocab_size, width)
        nn.init.trunc_normal_(self.table.weight, std=EMBEDDING_DEVIATION)
        self.ngrams = None if ngrams is None else Ngrams(spec, answer_width, ngrams)
        speeds = torch.tensor([1.0] * width + [SPEED] * (0 if self.ngrams is None else answer_width))
        self.letters = None if letters is None else Letters(spec, speeds, letters)
        # they start at 0 without a draw: all else starts as without them
        own = torch.zeros(len(spec.names), width)
        self.texts = Embedding(*own.shape, _weight=own) if spec.names else None

    def forward(self, texts: TextInput) -> Tensor:
        """-> (batch, length, width), or as many more as the answer has numbers"""
        vectors = self.table(texts.tokens)
        types = texts.types()
        if self.texts is not None and types is not None:
            vectors = vectors + self.texts(types)
        x = vectors if self.ngrams is None else torch.cat((vectors, self.ngrams(texts)), dim=-1)
        return x if self.letters is None else x + self.letters(texts.tokens)
