"""Files of strangers: nothing is run, and nothing outside of the folder is read."""

import json
import shutil

import onnx
import pytest

from attnpred.errors import UserError
from attnpred.inference.export import described
from attnpred.inference.export.session import Exported
from attnpred.inference.export.trusted import check_file


@pytest.fixture
def folder(exported, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(exported, tmp_path / "copy")


def test_weights_from_elsewhere_are_refused(folder, tmp_path):
    file = folder / "model.onnx"
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    file.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"takes weights from '\.\./secret'"):
        Exported(folder)


def test_operators_of_others_are_refused(folder):
    file = folder / "model.onnx"
    model = onnx.load(file)
    model.graph.node.append(onnx.helper.make_node("Run", ["c"], ["o"], domain="evil.corp"))
    file.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"an operator of 'evil\.corp'"):
        check_file(file)


def test_weights_hidden_in_an_inner_graph_are_found(folder):
    file = folder / "model.onnx"
    model = onnx.load(file)
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [0.0])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    inner = onnx.helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=inner))
    file.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="takes weights from '/etc/passwd'"):
        check_file(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no model", b"\x00" * 100])
def test_what_is_no_model_is_told(folder, content):
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.onnx: "):
        Exported(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pickle"},
        {"inputs": {}},
        {"inputs": {"tokens": {"type": "load"}, "lengths": {"type": "int64"}}},
        {"outputs": ["answer"]},
        {"grids": [[0, 3]]},
        {"task": {"thresholds": [1]}},
        {"more": 1},
    ],
)
def test_a_description_that_is_none_is_told(folder, change):
    file = folder / described.FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError):
        list(Exported(folder).answers(["great"]))
