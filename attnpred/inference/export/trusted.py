"""An ONNX file may come from a stranger: it may use no library of theirs, nor reach outside of its folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.errors import NotInstalled, UserError
from attnpred.inference.export.described import WEIGHTS

KNOWN = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # sets of operators that ONNX Runtime brings itself
DEEPEST = 20  # graphs inside graphs


def check_file(file: Path) -> None:
    """Raises where the file is none of ONNX, names foreign operators, or takes weights from anywhere but beside it."""
    try:
        import onnx
    except ImportError:
        raise NotInstalled(str(file), "onnx", "export") from None
    if not file.is_file():
        raise UserError(f"{file}: is not there; restore it, or export the run again")
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception:  # of several types, by what it is instead
        raise UserError(f"{file}: no ONNX file that can be read; restore it, or export the run again") from None
    graphs = [model.graph, *model.functions]
    own = {(one.domain, one.name) for one in model.functions}
    for node in (one for graph in graphs for one in _nodes(graph, onnx)):
        if node.domain not in KNOWN and (node.domain, node.op_type) not in own:
            raise UserError(
                f"{file}: needs an operator of {node.domain!r}, which is another's code; export the run again"
            )
    for tensor in (one for graph in graphs for one in _tensors(graph, onnx)):
        places = {one.key: one.value for one in tensor.external_data}
        if tensor.data_location == onnx.TensorProto.EXTERNAL and places.get("location") != WEIGHTS:
            raise UserError(
                f"{file}: takes weights from {places.get('location')!r}, outside of it; export the run again"
            )


def _nodes(graph: Any, onnx: Any, depth: int = 0) -> Iterator[Any]:
    """Every operator of a graph or function, those of the graphs inside it too."""
    if depth > DEEPEST:
        raise UserError("the file's graphs lie too deep inside one another; export the run again")
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs
            for one in inner:
                yield from _nodes(one, onnx, depth + 1)


def _tensors(graph: Any, onnx: Any, depth: int = 0) -> Iterator[Any]:
    """Every constant of a graph or function, those of the graphs inside it too."""
    yield from getattr(graph, "initializer", ())
    for attribute in (one for node in graph.node for one in node.attribute):
        if attribute.type == onnx.AttributeProto.TENSOR:
            yield attribute.t
        elif attribute.type == onnx.AttributeProto.GRAPH:
            yield from _tensors(attribute.g, onnx, depth + 1)
        yield from attribute.tensors
        for inner in attribute.graphs:
            yield from _tensors(inner, onnx, depth + 1)
