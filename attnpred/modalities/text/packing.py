"""Texts joined into sequences of one length, none of which is padded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnpred.contracts import Batch
from attnpred.data.batching import Integers
from attnpred.modalities.text.batch import TextInput, TextSpec


def packed(texts: Sequence[NDArray[Any]], numbers: Integers, reader: Any) -> Batch:
    """The tokens of texts, one behind the other, cut into sequences that are as long as may be.

    Between two texts stand the tokens that end one for this tokenizer, if any. What is left at the end and fills no
    sequence is dropped; texts come in another order in every epoch. A sequence has the number of the text that it
    begins in. Where all texts together are shorter than one sequence, that is as short.
    """
    spec: TextSpec = reader.spec
    between = np.array(spec.suffix, np.int64)
    whole = np.concatenate([part for text in texts for part in (text, between)]).astype(np.int64)
    room = min(spec.room, len(whole))
    count = len(whole) // room
    tokens = np.empty((count, room + spec.special), np.int64)
    tokens[:, : len(spec.prefix)] = spec.prefix
    tokens[:, len(spec.prefix) : len(spec.prefix) + room] = whole[: count * room].reshape(count, room)
    tokens[:, len(spec.prefix) + room :] = spec.suffix
    ends = np.cumsum([len(text) + len(between) for text in texts])
    first = np.searchsorted(ends, np.arange(count) * room, side="right")
    found = TextInput(
        tokens=torch.from_numpy(tokens),
        lengths=torch.full((count,), tokens.shape[1]),
        padded=False,
        prefix=len(spec.prefix),
        suffix=len(spec.suffix),
    )
    ids = torch.from_numpy(numbers[first].astype(np.int64))
    return Batch(inputs={reader.name: found}, targets={}, ids=ids)
