"""A tokenizer's rules can fill the memory, loop or end the process; a stranger's is tried where it can do no harm."""

import base64
import json

import pytest

from attnpred.errors import UserError
from attnpred.modalities.text import tokenizer_check
from attnpred.modalities.text.tokenizer_check import check
from attnpred.modalities.text.tokens import Vocabulary
from tests.models.made import make_encoder
from tests.safety.made import edit_json, train_with

WORDS = {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1}, "unk_token": "[UNK]"}


def made(*rules, **parts):
    whole = {"version": "1.0", "added_tokens": [], "model": WORDS, **parts}
    return json.dumps({**whole, "normalizer": {"type": "Sequence", "normalizers": list(rules)}})


def replace(text, by, kind="String"):
    return {"type": "Replace", "pattern": {kind: text}, "content": by}


def charsmap(replacement):
    table = (4).to_bytes(4, "little") + bytes(4) + replacement + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}


HUGE = {
    "a chain": [replace("a", "a" * 10)] * 9,
    "a chain of regular expressions": [replace("", "ab", "Regex")] * 12,
    "chains in chains": [{"type": "Sequence", "normalizers": [replace("a", "aaaa")] * 3}] * 4,
    "one long text": [replace("a", "a" * 10_000)],
    "a long beginning": [{"type": "Prepend", "prepend": "a" * 10_000}],
    "a beginning that grows": [{"type": "Prepend", "prepend": "a" * 100}, *[replace("a", "aaaa")] * 4],
    "a compiled table": [charsmap(b"x" * 10_000)],
}


@pytest.mark.parametrize("rules", HUGE.values(), ids=HUGE)
def test_rules_that_would_fill_the_memory(rules):
    with pytest.raises(UserError, match="which would fill the memory"):
        check(made(*rules), "here")


BAD = {
    "a table cut off": made(charsmap(b"x")),
    "a loop": made(replace("(a+)+$", "x", "Regex")),
    "no regular expression": made(replace("(", "x", "Regex")),
    "an unknown rule": made({"type": "Replaces"}, replace("a", "b")),
    "no vocabulary": made(replace("a", "b"), model={"type": "WordLevel"}),
    "rules of another type": json.dumps({"normalizer": "Replace"}),
    "an option with a name for the terminal": made(added_tokens=[{"id": 0, "content": "a", "\x1b[2J": 1}]),
    "a number": "7",
    "nested": '{"normalizer": ' + '{"type": "Sequence", "normalizers": [' * 5000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_tokenizer_is_named(text):
    with pytest.raises(UserError, match=r"here: (no tokenizer can be read from there|its added tokens have options)"):
        check(text, "here")


@pytest.mark.parametrize("limit", ["MEMORY", "SECONDS"])
def test_one_that_takes_all_memory_or_time_is_stopped(limit, monkeypatch):
    """Each step writes a letter's bytes as letters, of which each has two bytes."""
    many = {
        "type": "Sequence",
        "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}] * 30,
    }
    monkeypatch.setattr(tokenizer_check, "MEMORY", 2**29 if limit == "MEMORY" else 2**36)
    monkeypatch.setattr(tokenizer_check, "SECONDS", 60 if limit == "MEMORY" else 1)
    with pytest.raises(UserError, match="it needs too much memory or time"):
        check(made(pre_tokenizer=many), "here")


@pytest.mark.parametrize(
    "rules",
    [
        [replace(" ", "▁"), {"type": "Prepend", "prepend": "▁"}],
        [replace("``", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}],
        [{"type": "NFC"}, replace(r"\s+", " ", "Regex"), {"type": "Lowercase"}],
    ],
    ids=["like Llama", "like ALBERT", "like CLIP"],
)
def test_what_known_tokenizers_do_is_fine(rules):
    check(made(*rules), "here")


def test_a_text_on_which_the_library_panics():
    vocabulary = Vocabulary(made(replace("(x+x+)+y", "x", "Regex")), pad_id=0, unknown_id=0)
    with pytest.raises(UserError, match="the tokenizer fails"):
        vocabulary.ids(["x" * 60])


def test_a_model_that_cannot_read_is_told(refused, text_run):
    with pytest.raises(UserError, match="the tokenizer fails"):
        Vocabulary(made(model={"type": "WordLevel", "vocab": {"b": 0}, "unk_token": "c"}), pad_id=0, unknown_id=0).ids(
            ["a"]
        )
    merges = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}
    (text_run / "tokenizer.json").write_text(made(model=merges))
    assert "tokenizer.json: no tokenizer can be read" in refused("predict", text_run, "a text")


def spoil(values):
    values["normalizer"] = {"type": "Sequence", "normalizers": HUGE["a chain"]}


def test_a_runs_own(refused, text_run):
    edit_json(text_run / "tokenizer.json", spoil)
    assert "tokenizer.json: its tokenizer makes one character into up to" in refused("predict", text_run, "a text")


def test_an_encoders(runs, refused, tmp_path):
    encoder = make_encoder(tmp_path / "encoder")
    edit_json(encoder / "tokenizer.json", spoil)
    line = refused(*train_with(encoder, runs, tmp_path))
    assert f"model.source={encoder}: its tokenizer makes one character into up to" in line
    assert not (tmp_path / "outputs").exists()
