"""Writes a model as an ONNX file, by torch's own exporter, or as a program of `torch.export`."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from attnpred.contracts import Batch
from attnpred.errors import NotInstalled, UserError
from attnpred.inference.export.described import ONNX, TORCH
from attnpred.inference.export.wrapped import EXAMPLES, Wrapped, dynamic, tensors_of

OPSET = 20  # the newest set of operators that what runs ONNX files has known for years
LARGEST_ONE = 1_900 * 2**20  # bytes of weights that one file holds; the format's own bound is 2 GiB


def program_of(wrapped: Wrapped, like: Batch) -> torch.export.ExportedProgram:
    """The model as a graph in which batch and length may be of any size."""
    given = _traced(like)
    with _quiet():
        try:
            return torch.export.export(
                wrapped, (tensors_of(given),), dynamic_shapes={"tensors": dynamic(given)}, strict=False
            )
        except Exception as error:
            raise _not_exported(wrapped, error) from error


def write_program(wrapped: Wrapped, like: Batch, directory: Path) -> Path:
    file = directory / TORCH
    with _quiet():
        program = program_of(wrapped, like)
        program.example_inputs = None  # they would be somebody's data
        torch.export.save(program, file)
    return file


def write_onnx(wrapped: Wrapped, like: Batch, directory: Path, outputs: tuple[str, ...]) -> Path:
    require_onnx()
    traced = _traced(like)
    given = tensors_of(traced)
    size = sum(value.numel() * value.element_size() for value in wrapped.state_dict().values())
    with _quiet():
        try:
            made = torch.onnx.export(
                wrapped,
                (),
                kwargs={"tensors": given},
                dynamic_shapes={"tensors": dynamic(traced)},
                dynamo=True,
                opset_version=OPSET,
                input_names=list(given),
                output_names=list(outputs),
                verbose=False,
            )
            assert made is not None
        except Exception as error:
            raise _not_exported(wrapped, error) from error
        made.save(str(directory / ONNX), external_data=size > LARGEST_ONE)
    return directory / ONNX


def require_onnx() -> None:
    """Raises where what writes and runs ONNX files is not installed."""
    from importlib.util import find_spec

    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise NotInstalled("--format onnx", package, "export")


def _traced(like: Batch) -> Batch:
    """A batch of at least as many examples as tracing needs."""
    return like if len(like) >= EXAMPLES else like.rows(torch.arange(EXAMPLES) % len(like))


def _not_exported(wrapped: Wrapped, error: Exception) -> UserError:
    reason = " ".join(str(error.__cause__ or error).split())[:300]
    name = type(wrapped.model).__name__
    return UserError(f"{name}: torch cannot export it ({reason}); write its forward without what depends on values")


@contextmanager
def _quiet() -> Iterator[Any]:
    """Without the exporter's notices, which are about its own workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        # a loop that is differentiated cannot be written
        with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
