"""Texts as words: splitting, tokens of words, cutting, and attention by word."""

import json

import numpy as np
import pytest
import torch

from attnpred.contracts import Attention
from attnpred.errors import BadInput
from attnpred.modalities.reader import save_reader
from attnpred.modalities.text.tokens import Vocabulary
from attnpred.modalities.words.batch import WordsSpec
from attnpred.modalities.words.reader import WordsReader, spelled
from attnpred.modalities.words.split import Words, encode

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "new", "york", "is", "big", "un", "##real", "##ly"]


def vocabulary():
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return Vocabulary(tokenizer.to_str(), pad_id=0, unknown_id=1, prefix=(2,), suffix=(3,))


def reader(max_length=16, truncate="both"):
    spec = WordsSpec(vocab_size=len(PIECES), max_length=max_length, pad_id=0, mask_id=1, prefix=(2,), suffix=(3,))
    return WordsReader(spec, vocabulary(), strip_html=False, truncate=truncate)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("New York is big.", ["New", "York", "is", "big", "."]),
        (
            "@ann: it's #fun, see http://a.b/c?d=e now!",
            ["@ann", ":", "it's", "#fun", ",", "see", "http://a.b/c?d=e", "now", "!"],
        ),
        ("AT&T and U.S. co-founder", ["AT&T", "and", "U.S", ".", "co-founder"]),
        ("  ", []),
        ("日本 ♥", ["日本", "♥"]),
    ],
)
def test_a_text_is_split(text, words):
    found = Words.of_text(text)
    assert found.words == words
    assert [text[start:end] for start, end in found.spans] == words


def test_a_list_of_words_is_a_text_with_spaces():
    found = Words.of_list(["new", "york"])
    assert (found.text, found.spans) == ("new york", ((0, 3), (4, 8)))
    assert Words.of_list([]).words == []


def test_every_word_has_a_token_and_its_first_is_known():
    ids, begins = encode(vocabulary(), [["unreally", "new", "\u200b", "?!"], [], ["is"]])
    assert ids == [[8, 9, 10, 4, 1, 1, 1], [1], [6]]
    assert [marks.tolist() for marks in begins] == [[True, False, False, True, True, True, False], [False], [True]]


def test_tokenizers_that_tell_words_by_the_space_before_them_see_one():
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "new": 1, "Ġnew": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ids, _ = encode(Vocabulary(tokenizer.to_str(), pad_id=0, unknown_id=0), [["new", "new"]])
    assert ids == [[1, 2]]


def numbers(read):
    return read.words[0].tolist()


@pytest.mark.parametrize(
    ("truncate", "words"),
    [("head", [-1, 0, 0, 0, 1, -1]), ("tail", [-1, 0, 1, 2, 3, -1]), ("both", [-1, 0, 0, 2, 3, -1])],
)
def test_words_keep_their_numbers_where_a_text_is_cut(truncate, words):
    one = reader(max_length=6, truncate=truncate)
    ids, begins = encode(one.vocabulary, [["unreally", "new", "york", "is"]])
    found = one.collate_words(ids, begins)
    assert numbers(found)[:6] == words
    answered = found.answered()[0].tolist()
    assert [place for place in answered if place >= 0] == sorted({word for word in words if word >= 0})


def read(one, *inputs):
    [reading] = one.readings(inputs, 8)
    return reading


def test_attention_falls_on_words():
    one = reader()
    reading = read(one, "Unreally new")
    [found] = reading.describe(Attention(torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4, 0.0]])))
    assert found["words"] == ["Unreally", "new"]
    assert found["attention"] == pytest.approx([0.6, 0.4])
    assert found["characters"] == [[0, 8], [9, 12]]
    spelled = list(one.describe(reading.batch.input)(Attention(torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4, 0.0]]))))
    assert spelled[0]["words"] == ["unreally", "new"]
    assert spelled[0]["attention"] == pytest.approx([0.6, 0.4])


def test_tokenizers_without_a_decoder_spell_words_too():
    one = reader()
    one.vocabulary.tokenizer.decoder = None
    with_suffix = {"un</w>": 0, "[UNK]": 1}
    assert spelled(one.vocabulary.tokenizer, [8, 9, 10]) == "unreally"
    from tokenizers import Tokenizer, models

    assert spelled(Tokenizer(models.BPE(with_suffix, [], unk_token="[UNK]")), [0]) == "un"


def test_inputs_are_texts_or_lists_of_words():
    one = reader()
    reading = read(one, "new york", '["new york", "is"]', ["big"], "", "[not a list")
    said = dict(zip(reading.batch.ids.tolist(), reading.inputs, strict=True))
    assert [said[i] for i in range(5)] == ["new york", "new york is", "big", "", "[not a list"]
    width = reading.batch.input.tokens.shape[1]
    found = list(reading.describe(Attention(torch.full((5, width), 1 / width))))
    by_place = dict(zip(reading.batch.ids.tolist(), found, strict=True))
    assert [by_place[i]["words"] for i in range(4)] == [["new", "york"], ["new york", "is"], ["big"], []]
    assert by_place[1]["characters"] == [[0, 8], [9, 11]]
    for bad in ('["a", 3]', {"a": 1}, [1]):
        with pytest.raises(BadInput, match="the model reads words; give a text, or a JSON list of its words"):
            read(one, bad)


def test_a_kept_reader_reads_alike(tmp_path):
    from attnpred.data.tags_target import Tags
    from attnpred.modalities import load_reader

    save_reader(tmp_path, reader(), Tags(tags=("O",), scheme="bio", counts=(1,)))
    kept = json.loads((tmp_path / "spec.json").read_text())
    assert kept["inputs"]["words"]["spec"]["modality"] == "words"
    again = load_reader(tmp_path)
    assert isinstance(again, WordsReader)
    one, other = (read(r, "unreally big").batch.input for r in (reader(), again))
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.words, other.words)
