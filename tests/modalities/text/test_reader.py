"""New texts become batches, attention on tokens becomes attention on words, and words are dropped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnpred.errors import UserError
from attnpred.modalities import load_reader
from attnpred.modalities.reader import save_reader
from attnpred.modalities.text.reader import TextReader
from tests.data.made import LONG, explained, text_config, text_data, tokens_of
from tests.models.made import CLASSES


def test_batch_of_new_texts(reader):
    texts = ["The film was great.", "", "the", LONG]
    [reading] = reader.readings(texts, 16)
    batch = reading.batch
    assert batch.targets == {}
    assert batch.ids.tolist() == [1, 2, 0, 3]
    assert reading.inputs == [texts[place] for place in batch.ids]
    assert batch.input.lengths.tolist() == [1, 1, 5, 24]
    assert batch.input.padded
    assert batch.input.tokens[0, 0] == 1
    assert not next(reader.readings(["the " * 8, "film " * 8], 16)).batch.input.padded
    assert list(reader.readings([], 16)) == []


def test_new_texts_of_like_length_come_together(reader):
    lengths = np.random.default_rng(0).integers(1, 25, 1000)
    texts = [" ".join(["film"] * length) for length in lengths]
    taken = []

    def inputs():
        for text in texts:
            taken.append(text)
            yield text

    windows = {}  # how many texts had been read: the places of those that came then
    for reading in reader.readings(inputs(), 16):
        batch = reading.batch
        assert batch.input.tokens.numel() <= 16 * 24
        assert batch.input.lengths.tolist() == lengths[batch.ids.numpy()].tolist()
        assert reading.inputs == [texts[place] for place in batch.ids]
        windows.setdefault(len(taken), []).extend(batch.ids.tolist())
    assert list(windows) == [16, 48, 112, 240, 496, 752, 1000], "an early answer first, then better company"
    for start, (end, places) in zip([0, *windows], windows.items(), strict=False):
        assert sorted(places) == list(range(start, end))
        assert (np.diff(lengths[places]) >= 0).all()


def test_reader_travels(reader, tmp_path):
    save_reader(tmp_path, reader, CLASSES["text"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spec.json", "tokenizer.json"]
    again = load_reader(tmp_path)
    assert isinstance(again, TextReader)
    assert again.spec == reader.spec
    assert tokens_of(again, [LONG, "great"]) == tokens_of(reader, [LONG, "great"])
    assert explained(again, LONG, range(24)) == explained(reader, LONG, range(24))


def test_no_reader_in_a_directory(tmp_path):
    with pytest.raises(UserError, match=r"has no spec\.json"):
        load_reader(tmp_path)


def test_explain_merges_tokens_to_words(reader):
    text = "Brilliantfilm. the  plot."
    pieces = reader.vocabulary.tokenizer.encode(text).tokens
    stop = pieces.index(".")
    assert stop > 1
    assert pieces[-3:] == ["the", "plot", "."]
    importance = np.arange(1, len(pieces) + 1) / 100
    found = explained(reader, text, [*importance, 0.5, 0.5])
    assert found["words"] == ["Brilliantfilm.", "the", "plot."]
    expected = np.array([importance[: stop + 1].sum(), importance[-3], importance[-2:].sum()]) / importance.sum()
    assert found["attention"] == pytest.approx(expected.tolist())


def test_explain_gives_nothing_to_what_was_cut_off(reader):
    found = explained(reader, LONG, [1 / 24] * 24)
    assert len(found["words"]) == 120
    assert found["attention"] == pytest.approx([1 / 24] * 12 + [0] * 96 + [1 / 24] * 12)


def test_bytes_that_are_no_text(reader):
    """As a shell's argument may hold them."""
    [reading] = reader.readings(["great \udcff film"], 1)
    assert reading.batch.input.lengths.tolist() == [3]
    assert reading.inputs == ["great \udcff film"]
    assert explained(reader, "great \udcff film", [0.5, 0.2, 0.3])["words"] == ["great", "?", "film"]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_explain_of_no_words(reader, text):
    assert explained(reader, text, [1.0]) == {"words": [], "attention": []}


def test_explain_of_a_text_without_tokens(reader):
    """Control characters are words to the eye of a program, and nothing to the tokenizer."""
    assert reader.vocabulary.ids(["\x08 \x08"]) == [[1]]
    assert explained(reader, "\x08 \x08", [1.0])["attention"] == [0.5, 0.5]


def test_word_dropout_spares_special_tokens_and_padding(text_source, cache_dir):
    data = text_data(text_config(text_source, cache_dir, word_dropout=0.5))
    batch = next(iter(data.loader("train")))
    batch = batch.reading(replace(batch.input, prefix=1))
    torch.manual_seed(0)
    changed = data.augment(1)(batch, 0)
    gone = changed.input.tokens != batch.input.tokens
    assert gone.any()
    assert (changed.input.tokens[gone] == data.reader.vocabulary.unknown_id).all()
    assert not gone[:, 0].any()
    assert not (gone & ~batch.input.own()).any()
    share = gone.sum() / batch.input.own().sum()
    assert 0.3 < share < 0.7
