"""A run's specification, reader and tokenizer are what they have to be, or named."""

import shutil

import pytest
import yaml

from tests.safety.made import edit_config, edit_json

SPECS = {
    "classes": [None, [], "ab", [1, 2], ["a", "a"], [["a"]]],
    "height": [0, -1, "8", None, 8.5],
    "channels": [2, True, "1"],
    "mean": [[], [1, 2], ["x"], 3],
    "modality": ["video", None, 3, "text", ["image"]],
    "unknown": [1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in SPECS.items() for value in values], ids=str)
def test_a_wrong_specification_is_named(key, value, refused, image_run):
    edit_json(image_run / "spec.json", lambda values: values["spec"].update({key: value}))
    assert "spec.json" in refused("predict", image_run, "x.png")


TEXTS = {
    "max_length": [0, "x", -5],
    "vocab_size": [1, 0],
    "pad_id": [-1, 10**9],
    "prefix": [[10**9], ["x"], 1],
    "mask_id": [None],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in TEXTS.items() for value in values], ids=str)
def test_a_wrong_specification_of_texts_is_named(key, value, refused, text_run):
    edit_json(text_run / "spec.json", lambda values: values["spec"].update({key: value}))
    assert "spec.json" in refused("predict", text_run, "a text")


@pytest.mark.parametrize(
    ("key", "value"), [("truncate", "middle"), ("unknown_id", 10**9), ("strip_html", "yes"), ("file", "../../x")]
)
def test_a_wrong_reader_is_named(key, value, refused, text_run):
    edit_json(text_run / "spec.json", lambda values: values["reader"].update({key: value}))
    assert "spec.json" in refused("predict", text_run, "a text")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": {"type": "BPE", "vocab": "/etc/passwd"}}', "\0"])
def test_a_damaged_tokenizer_is_named(content, refused, text_run):
    (text_run / "tokenizer.json").write_text(content)
    assert "tokenizer.json: no tokenizer can be read" in refused("predict", text_run, "a text")


def test_a_specification_of_another_model_is_named(runs, refused, text_run):
    shutil.copy(runs.image / "spec.json", text_run / "spec.json")
    assert "weights and config do not fit" in refused("predict", text_run, "digit.png")
    edit_config(text_run, **{"model": yaml.safe_load((runs.image / "config.yaml").read_text())["model"]})
    shutil.copy(runs.text / "spec.json", text_run / "spec.json")
    assert "error: " in refused("predict", text_run, "digit.png")
