"""Every shipped model with every kind of answer becomes a file that says the same at any batch and length."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnpred.contracts import AnswerSpec, Generation, ModelSpec
from attnpred.inference.export.onnx_file import write_onnx
from attnpred.inference.export.session import open_file
from attnpred.inference.export.wrapped import Wrapped, named, tensors_of
from attnpred.models.views import answered
from tests.models.made import CASES, PARTED, made, make_model

WHOLE = [(name, modality, options, "whole") for name, modality, options in CASES]
PARTS = [(name, modality, {}, "parts") for name, modality in PARTED]
CHAINED = [("transformer", "words", {"pooling": "mean"}, "chained")]
PAIRS = [("transformer", "pair", {}, "whole"), ("bert", "pair", {}, "whole")]
KINDS = [*WHOLE, *PARTS, *PAIRS, *CHAINED]


def answer_of(shape: str) -> AnswerSpec:
    if shape == "whole":
        return AnswerSpec(3)
    return AnswerSpec(3, "parts", chained=shape == "chained")


def parts_apart(model, batch, directory) -> dict[str, float]:
    """Writes the model as a file, and tells how far each of its outputs is off, at several batches."""
    wrapped = Wrapped(model.for_inference(), batch, mirror=False).eval()
    with torch.no_grad():
        outputs = tuple(named(answered(model, batch, mirror=False, need_attention=True)))
    session = open_file(write_onnx(wrapped, batch, directory, outputs), threads=1)
    apart = dict.fromkeys(outputs, 0.0)
    for rows in (torch.arange(len(batch)), torch.tensor([1]), torch.tensor([2, 0, 3, 1, 1])):
        some = shortened(batch.rows(rows))
        with torch.no_grad():
            true = named(answered(model, some, mirror=False, need_attention=True))
        found = session.run(list(outputs), {name: value.numpy() for name, value in tensors_of(some).items()})
        for (name, one), other in zip(true.items(), found, strict=True):
            apart[name] = max(apart[name], float(np.abs(one.numpy() - other).max()))
    return apart


def shortened(batch):
    """Without columns that are padding of every row."""
    inputs = {}
    for name, one in batch.inputs.items():
        cut = {field: getattr(one, field) for field in one.varying() if getattr(one, field) is not None}
        longest = int(one.lengths.max()) if cut else 0
        inputs[name] = replace(one, **{field: value[:, :longest] for field, value in cut.items()})
    return replace(batch, inputs=inputs)


@pytest.mark.long
@pytest.mark.parametrize(("name", "modality", "options", "shape"), KINDS, ids=lambda value: str(value))
def test_a_file_says_what_the_model_does(name, modality, options, shape, tmp_path):
    pytest.importorskip("onnxruntime")
    spec, batch = made(modality)
    model = make_model(name, ModelSpec({spec.modality: spec}, answer_of(shape)), **options)
    apart = parts_apart(model, batch, tmp_path)
    assert max(apart.values()) < 1e-4, apart


@pytest.mark.slow
def test_a_sequence_is_said_token_by_token(tmp_path):
    pytest.importorskip("onnxruntime")
    spec, batch = made("text")
    generation = Generation(begin=2, end=3, longest=9, shared=False)
    answer = AnswerSpec(17, shape="sequence", nothing=3, generation=generation)
    model = make_model("seq2seq", ModelSpec({"text": spec}, answer), width=16, depth=1, heads=2)
    random = torch.Generator().manual_seed(0)
    batch = replace(batch, given=torch.randint(4, 17, (len(batch), 3), generator=random))
    apart = parts_apart(model, batch, tmp_path)
    assert apart.keys() == {"answer", "importance", "answered", "alignment"}
    assert max(apart.values()) < 1e-4, apart
