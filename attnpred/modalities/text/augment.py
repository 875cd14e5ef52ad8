"""Changes to training texts, on whole batches."""

from dataclasses import replace

import torch

from attnpred.contracts import Batch


def drop_words(batch: Batch, epoch: int, *, share: float, unknown_id: int) -> Batch:
    """Makes about `share` of the texts' own tokens unknown, others whenever it is asked."""
    texts = batch.input
    dropped = torch.rand(texts.tokens.shape, device=texts.tokens.device) < share
    own = texts.own()
    tokens = texts.tokens.masked_fill(dropped if own is None else dropped & own, unknown_id)
    return batch.reading(replace(texts, tokens=tokens))
