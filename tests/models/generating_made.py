"""Small encoder-decoders, and batches that they answer."""

from dataclasses import replace
from typing import Any

import torch

from attnpred.contracts import AnswerSpec, Batch, Generation, ModelSpec
from attnpred.models.recurrent_seq2seq import RecurrentSeq2seq
from attnpred.models.seq2seq import Seq2seq
from tests.models.made import CLS, SEP, TEXT, VOCABULARY, make_model, text_batch

SMALL = {"width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2.0}
GENERATION = Generation(begin=CLS, end=SEP, longest=12, shared=True)
SPEC = ModelSpec(
    {"text": TEXT}, AnswerSpec(len(VOCABULARY), shape="sequence", nothing=GENERATION.end, generation=GENERATION)
)
KINDS: dict[str, dict[str, Any]] = {
    "rotary": {},
    "learned": {"positions": "learned", "tied": False, "decoder_depth": 1},
    "sinusoidal": {"positions": "sinusoidal", "alignment_layer": 1},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm", "attention": "multiplicative", "tied": False},
}


def make_generating(kind: str) -> Any:
    """A model with stirred weights; its answers differ in length."""
    found = make_model("seq2seq", SPEC, **{**SMALL, **KINDS[kind]})
    assert isinstance(found, RecurrentSeq2seq if "cell" in KINDS[kind] else Seq2seq)
    return found


def given_batch() -> Batch:
    """With the beginnings of answers: one of them ends, another is padded."""
    batch = text_batch()
    tokens = torch.randint(5, len(VOCABULARY), (len(batch), 7), generator=torch.Generator().manual_seed(1))
    tokens[0, 6], tokens[1, 3], tokens[1, 4:] = SEP, SEP, -1
    return replace(batch, given=tokens)
