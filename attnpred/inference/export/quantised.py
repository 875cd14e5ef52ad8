"""Smaller numbers in an ONNX file: int8 weights, with activations measured as they come or beforehand, or float16."""

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attnpred.contracts import Batch
from attnpred.inference.export.described import Described
from attnpred.inference.export.session import open_file
from attnpred.inference.export.wrapped import tensors_of

FLOAT32 = "float32.onnx"  # while the folder is made: the file as it was before
# What holds nearly all weights and takes nearly all time. The rest, such as softmax and norms, stays in float32.
QUANTISED = ["MatMul", "Gemm", "Conv", "Gather", "LSTM"]
STATIC = ["MatMul", "Gemm", "Conv", "Gather"]
ROUNDS, SECONDS = 7, 0.5  # of timing, by turns, each at least so long


def convert(file: Path, precision: str, sample: Sequence[Batch], about: Described) -> None:
    """Replaces the file by one in that precision, and keeps the float32 one beside it as `FLOAT32`."""
    if precision == "float32":
        return
    before = file.with_name(FLOAT32)
    file.replace(before)
    if precision == "float16":
        _halve(before, file)
        before.unlink()
        return
    prepared = file.with_name("prepared.onnx")
    try:
        _prepare(before, prepared)
        if precision == "int8-dynamic":
            _dynamic(prepared, file)
        else:
            _static(prepared, file, sample, about)
    finally:
        prepared.unlink(missing_ok=True)


def _prepare(before: Path, prepared: Path) -> None:
    """With shapes inferred and operators fused, as the quantiser asks for it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(before), str(prepared), skip_symbolic_shape=True)


def _dynamic(prepared: Path, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(prepared),
        str(file),
        op_types_to_quantize=QUANTISED,
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )


def _static(prepared: Path, file: Path, sample: Sequence[Batch], about: Described) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    quantize_static(
        str(prepared),
        str(file),
        _reader(sample, about),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=STATIC,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"MatMulConstBOnly": True, "CalibMovingAverage": True, "CalibStridedMinMax": None},
    )


def _reader(sample: Sequence[Batch], about: Described) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Any] = (feeds_of(batch, about) for batch in sample)

        def get_next(self) -> Any:
            return next(self.left, None)

    return Reader()


def _halve(before: Path, file: Path) -> None:
    """Weights and products in float16. What goes in and comes out stays in float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(str(before)), keep_io_types=True)
    onnx.save(model, str(file))


def feeds_of(batch: Batch, about: Described) -> dict[str, Any]:
    """A batch's tensors as ONNX Runtime takes them."""
    given = tensors_of(batch)
    return {name: given[name].numpy() for name in about.inputs}


def speeds(one: Path, other: Path, batches: Sequence[Batch], about: Described) -> tuple[float, float]:
    """Examples a second of two files on this machine: the medians of several rounds, by turns."""
    sessions = [open_file(one), open_file(other)]
    fed = [feeds_of(batch, about) for batch in batches]
    count = sum(map(len, batches))
    found: list[list[float]] = [[], []]
    for turn in range(ROUNDS + 1):  # the first warms up
        for session, times in zip(sessions, found, strict=True):
            rate = count * _rate(session, fed)
            times += [rate] if turn else []
    return statistics.median(found[0]), statistics.median(found[1])


def _rate(session: Any, fed: Iterable[Any]) -> float:
    """Passes over the batches a second."""
    started, passes = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS or not passes:
        for feeds in fed:
            session.run(None, feeds)
        passes += 1
    return passes / (time.perf_counter() - started)
