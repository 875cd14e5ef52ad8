"""Words that are looked up have the ids that the tokenizer gives, whatever stands between them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from attnpred.modalities.text import word_cache
from attnpred.modalities.text.tokens import Vocabulary
from attnpred.modalities.text.word_cache import WordCache
from tests.modalities.text.test_tokenizer_training import KINDS, TEXTS, train

VOCABULARIES = {kind: train(kind, lowercase=kind != "bpe") for kind in KINDS}
ODD = [chr(point) for point in range(0x3002) if chr(point).isspace()] + [
    "\u0301",
    "\u200d",
    "İ",
    "ς",
    "[UNK]",
    "",
    "字",
]
SOME = st.lists(st.sampled_from([*ODD, "great", "Film", "é", "a"]), max_size=12).map("".join)


def from_library(vocabulary, texts):
    found = vocabulary.tokenizer.encode_batch(texts, add_special_tokens=False)
    return [one.ids or [vocabulary.unknown_id] for one in found]


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(SOME | st.text(max_size=20), max_size=4))
@settings(max_examples=150, deadline=None)
def test_ids_are_those_of_the_library(kind, texts):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    vocabulary = VOCABULARIES[kind]
    assert vocabulary._words is not None
    assert vocabulary.ids(texts) == from_library(vocabulary, texts)


def test_words_that_came_before_are_not_tokenized_again():
    asked = []
    tokenizer = VOCABULARIES["wordpiece"].tokenizer

    def encode(texts):
        asked.extend(texts)
        return [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=False)]

    cache = WordCache(tokenizer, encode)
    assert cache.ids(TEXTS) == cache.ids(TEXTS)
    assert len(asked) == len(set(asked)) == len({word for text in TEXTS for word in text.split()})


def test_no_more_words_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(word_cache, "MOST_BYTES", 20_000)
    vocabulary = train("wordpiece")
    for start in range(0, len(TEXTS), 10):
        some = TEXTS[start : start + 10]
        assert vocabulary.ids(some) == from_library(vocabulary, some)
    assert 0 < vocabulary._words._bytes <= 20_000


@pytest.mark.parametrize(
    ("pre_tokenizer", "added"),
    [(pre_tokenizers.ByteLevel(), []), (pre_tokenizers.Metaspace(), []), (pre_tokenizers.Whitespace(), ["new york"])],
)
def test_tokenizers_to_which_spaces_matter_are_asked_themselves(pre_tokenizer, added):
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "new": 1}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizer
    tokenizer.add_tokens(added)
    vocabulary = Vocabulary(tokenizer.to_str(), pad_id=0, unknown_id=0)
    assert vocabulary._words is None
    assert vocabulary.ids(["new york"]) == from_library(vocabulary, ["new york"])
