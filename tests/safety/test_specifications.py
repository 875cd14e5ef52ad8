"""A run's specification, reader and tokenizer are what they have to be, or named."""

import os
import shutil

import pytest
import yaml
from PIL import Image

from tests.safety.made import edit_config, edit_json

SPECS = {
    "height": [0, -1, "8", None, 8.5],
    "channels": [2, True, "1"],
    "mean": [[], [1, 2], ["x"], 3],
    "modality": ["video", None, 3, "text", ["image"]],
    "unknown": [1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in SPECS.items() for value in values], ids=str)
def test_a_wrong_specification_is_named(key, value, refused, image_run):
    edit_json(image_run / "spec.json", lambda values: values["inputs"]["image"]["spec"].update({key: value}))
    assert "spec.json" in refused("predict", image_run, "x.png")


TARGETS = {
    "classes": [None, [], "ab", [1, 2], ["a", "a"], [["a"]]],
    "counts": [3, ["x"], [[1]], [1]],
    "unknown": [1],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in TARGETS.items() for value in values], ids=str
)
def test_a_wrong_target_is_named(key, value, refused, image_run):
    edit_json(image_run / "spec.json", lambda values: values["target"].update({key: value}))
    Image.new("L", (8, 8)).save(image_run.parent / "x.png")
    assert "spec.json" in refused("predict", image_run, image_run.parent / "x.png")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("target"),
        lambda values: values.pop("inputs"),
        lambda values: values.update(inputs={}),
        lambda values: values.update(inputs=[1]),
        lambda values: values.update(target=[]),
        lambda values: values["inputs"].update(image=[]),
        lambda values: values["inputs"]["image"].pop("reader"),
        lambda values: values["inputs"]["image"].update(reader=3),
        lambda values: values["inputs"]["image"].pop("spec"),
    ],
    ids=range(9),
)
def test_parts_that_are_missing_or_something_else_are_named(change, refused, image_run):
    edit_json(image_run / "spec.json", change)
    assert "spec.json" in refused("predict", image_run, "x.png")


TEXTS = {
    "max_length": [0, "x", -5],
    "vocab_size": [1, 0],
    "pad_id": [-1, 10**9],
    "prefix": [[10**9], ["x"], 1],
    "mask_id": [None],
    "names": ["ab", ["a"], ["a", "a"], [1, 2]],
    "between": [[10**9], 3],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in TEXTS.items() for value in values], ids=str)
def test_a_wrong_specification_of_texts_is_named(key, value, refused, text_run):
    edit_json(text_run / "spec.json", lambda values: values["inputs"]["text"]["spec"].update({key: value}))
    assert "spec.json" in refused("predict", text_run, "a text")


@pytest.mark.parametrize(
    ("key", "value"), [("truncate", "middle"), ("unknown_id", 10**9), ("strip_html", "yes"), ("file", "../../x")]
)
def test_a_wrong_reader_is_named(key, value, refused, text_run):
    edit_json(text_run / "spec.json", lambda values: values["inputs"]["text"]["reader"].update({key: value}))
    assert "spec.json" in refused("predict", text_run, "a text")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": {"type": "BPE", "vocab": "/etc/passwd"}}', "\0"])
def test_a_damaged_tokenizer_is_named(content, refused, text_run):
    (text_run / "tokenizer.json").write_text(content)
    assert "tokenizer.json: no tokenizer can be read" in refused("predict", text_run, "a text")


def test_a_pipe_is_no_tokenizer(refused, text_run):
    (text_run / "tokenizer.json").unlink()
    os.mkfifo(text_run / "tokenizer.json")
    assert "tokenizer.json: neither a file nor a directory" in refused("predict", text_run, "a text")


def test_a_specification_of_another_model_is_named(runs, refused, text_run):
    shutil.copy(runs.image / "spec.json", text_run / "spec.json")
    assert "weights and config do not fit" in refused("predict", text_run, "digit.png")
    edit_config(text_run, **{"model": yaml.safe_load((runs.image / "config.yaml").read_text())["model"]})
    shutil.copy(runs.text / "spec.json", text_run / "spec.json")
    assert "error: " in refused("predict", text_run, "digit.png")
