"""Tokenizers trained here: their size, their special pieces, and that training repeats itself exactly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attnpred.config.data_options import TokenizerConfig
from attnpred.config.schema import build
from attnpred.errors import UserError
from attnpred.modalities.text.tokenizer_training import sampled, train_vocabulary
from tests.data.made import text_rows

KINDS = ("wordpiece", "bpe", "unigram", "word")
# rare characters abound, each once: what a hash table's order would decide
TEXTS = [*text_rows(200)[0], *(f"rare{chr(0x4E00 + i)}é{chr(0x400 + i)}x word{i}" for i in range(60))]


def train(kind, size=150, lowercase=True, texts=TEXTS):
    options = build(TokenizerConfig, {"kind": kind, "vocab_size": size, "lowercase": lowercase})
    return train_vocabulary(options, texts)


def tokens(vocabulary, text):
    return vocabulary.tokenizer.encode(text, add_special_tokens=False).tokens


def fingerprints():
    return [train(kind).fingerprint for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 150])
def test_vocabulary_is_no_larger_than_asked(kind, size):
    vocabulary = train(kind, size)
    assert 20 < vocabulary.size <= size
    assert (vocabulary.pad_id, vocabulary.unknown_id) == (0, 1)
    assert vocabulary.ids(["The film was great", ""])[1] == [1]
    added = json.loads(vocabulary.tokenizer_json)["added_tokens"]
    assert [token["content"] for token in added] == ["[PAD]", "[UNK]"]


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "word"])
def test_frequent_words_are_whole(kind):
    vocabulary = train(kind)
    assert [piece.removesuffix("</w>") for piece in tokens(vocabulary, "The film")] == ["the", "film"]


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_characters_are_unknown(kind):
    assert train(kind).ids(["\u0b85"]) == [[1]]


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_unseen_words_fall_into_pieces(kind):
    vocabulary = train(kind)
    ids = vocabulary.ids(["greatfilm"])[0]
    assert len(ids) > 1
    assert 1 not in ids


def test_case_is_kept_on_demand():
    assert tokens(train("word", lowercase=False), "The the") != tokens(train("word"), "The the") == ["the", "the"]


def test_training_twice_gives_the_same_file():
    """In other processes, too: each has a hash table order of its own."""
    code = "from tests.modalities.text.test_tokenizer_training import fingerprints; print(*fingerprints())"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    others = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [other.communicate()[0].split() for other in others] == [fingerprints()] * 2


def test_errors_of_the_texts_are_their_own():
    def broken():
        yield "text"
        raise UserError("row 1 is bad")

    options = build(TokenizerConfig, {"kind": "word", "vocab_size": 64, "lowercase": True})
    with pytest.raises(UserError, match="row 1 is bad"):
        train_vocabulary(options, broken())


def test_of_many_characters_a_random_share_is_learned_from():
    texts = [str(number) * 10 for number in range(1000)]
    assert sampled(texts, 10**6) == texts
    some = sampled(texts, 5000)
    assert 2000 < sum(map(len, some)) <= 5000
    assert some == sampled(iter(texts), 5000) == [text for text in texts if text in set(some)]
    assert 0.3 < sum(int(text) % 2 for text in some) / len(some) < 0.7
    assert len(sampled(["a" * 100, "b" * 100], 10)) == 1
