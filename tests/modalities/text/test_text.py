"""Texts become batches, and attention on tokens becomes attention on words."""

from itertools import chain

import pytest

from attnpred.errors import UserError
from attnpred.modalities import load_reader
from attnpred.modalities.reader import save_reader
from tests.data.made import LONG, explained, make_text_source, text_config, text_data, text_rows, tokens_of
from tests.models.made import CLASSES


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, reader):
    """A tokenizer as checkpoints have it: special tokens around a text, padding and truncation switched on."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer.from_str(reader.vocabulary.tokenizer_json)
    backend.add_special_tokens(["[CLS]", "[SEP]"])
    ends = [(name, backend.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    directory = tmp_path_factory.mktemp("checkpoint")
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=20, **special).save_pretrained(directory)
    padding = Tokenizer.from_file(str(directory / "tokenizer.json"))
    padding.enable_padding(length=16)
    padding.enable_truncation(16)
    padding.save(str(directory / "tokenizer.json"))
    return directory


def test_batches_hold_the_rows(text_source, cache_dir, reader):
    texts, labels = text_rows(120, seed=0)
    data = text_data(text_config(text_source, cache_dir, max_length=200))
    seen = {}
    for split in ("train", "val"):
        for batch in data.loader(split):
            read, labelled = batch.input, batch.targets["label"]
            assert str(read.tokens.dtype) == str(labelled.dtype) == str(batch.ids.dtype) == "torch.int64"
            assert read.tokens.shape[1] % 8 == 0
            assert 0 <= read.tokens.shape[1] - read.lengths.max() < 8
            assert read.padded == bool((read.lengths < read.tokens.shape[1]).any())
            for tokens, length, row, label in zip(read.tokens, read.lengths, batch.ids, labelled, strict=True):
                assert label == labels[row]
                assert tokens[:length].tolist() == reader.vocabulary.ids([texts[row]])[0]
                assert (tokens[length:] == data.reader.spec.pad_id).all()
                seen[int(row)] = split
    assert len(seen) == 120
    assert list(seen.values()).count("val") == 12


def test_the_tokenizer_sees_train_only(tmp_path):
    texts, labels = text_rows(100)
    marks = [f"{text} mark{row:03d}" for row, text in enumerate(texts)]
    source = make_text_source(tmp_path / "s", rows={"train": (marks, labels), "test": (["testonly"], [0])})
    changes = {"tokenizer": {"kind": "word", "vocab_size": 5000}, "val_fraction": 0.3}
    data = text_data(text_config(source, tmp_path / "c", **changes))
    known = {int(word[4:]) for word in data.reader.vocabulary.tokenizer.get_vocab() if word.startswith("mark")}
    rows = {split: set(chain.from_iterable(b.ids.tolist() for b in data.loader(split))) for split in ("train", "val")}
    assert known == rows["train"]
    assert len(rows["val"]) == 30
    assert "testonly" not in data.reader.vocabulary.tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("part", "kept"), [("head", range(24)), ("tail", range(96, 120)), ("both", [*range(12), *range(108, 120)])]
)
def test_truncation(text_source, cache_dir, part, kept):
    reader = text_data(text_config(text_source, cache_dir, truncate=part)).reader
    whole = reader.vocabulary.ids([LONG])[0]
    assert len(whole) == 120
    assert tokens_of(reader, [LONG]) == [[whole[i] for i in kept]]


def test_truncation_and_length_need_no_new_preparation(text_source, cache_dir, reader, capsys):
    for changes in ({"max_length": 5}, {"truncate": "tail"}, {"token_budget": 100}, {"batch_size": 3}):
        text_data(text_config(text_source, cache_dir, **changes)).loader("train")
    assert capsys.readouterr().err == ""


def test_html_is_stripped_alike_in_training_and_prediction(tmp_path):
    texts = ["The film<br /><br>was &quot;great&quot;<BR/>fun", "a dull plot"] * 10
    rows = {"train": (texts, [1, 0] * 10), "test": (texts[:2], [1, 0])}
    source = make_text_source(tmp_path / "s", rows=rows)
    data = text_data(text_config(source, tmp_path / "c", strip_html=True))
    save_reader(tmp_path, data.reader, CLASSES["text"])
    batches = [zip(b.ids, b.input.tokens, b.input.lengths, strict=True) for b in data.loader("test")]
    stored = {int(row): tokens[:length] for batch in batches for row, tokens, length in batch}
    fresh = tokens_of(load_reader(tmp_path), ['the film was "great" fun', texts[0]])
    assert fresh == [stored[0].tolist()] * 2
    assert explained(load_reader(tmp_path), texts[0], [1] * 7)["words"] == ["The", "film", "was", '"great"', "fun"]
    kept = text_data(text_config(source, tmp_path / "c", strip_html=False))
    assert len(tokens_of(kept.reader, texts[:1])[0]) > 7


def test_a_checkpoints_tokenizer(text_source, cache_dir, checkpoint, tmp_path):
    data = text_data(text_config(text_source, cache_dir), tokenizer_source=str(checkpoint))
    spec = data.reader.spec
    ends = [data.reader.vocabulary.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")]
    assert (spec.prefix, spec.suffix, spec.pad_id) == ((ends[0],), (ends[1],), 0)
    assert spec.max_length == 20, "the checkpoint takes no more"
    assert spec.vocab_size == max(ends) + 1
    save_reader(tmp_path, data.reader, CLASSES["text"])
    reader = load_reader(tmp_path)
    long, empty, _ = tokens_of(reader, [LONG, "", "great film"])
    whole = reader.vocabulary.ids([LONG])[0]
    assert long == [ends[0], *whole[:9], *whole[-9:], ends[1]]
    assert empty == [ends[0], 1, ends[1]]
    assert next(reader.readings([LONG, "", "great film"], 16)).batch.input.own().sum(1).tolist() == [1, 2, 18]
    assert explained(reader, "great film", [0.3, 0.1, 0.4, 0.2])["attention"] == pytest.approx([0.2, 0.8])
    for made in data.loader("train"):
        assert (made.input.tokens[:, 0] == ends[0]).all()
        assert (made.input.tokens.gather(1, made.input.lengths[:, None] - 1) == ends[1]).all()
        assert (made.input.prefix, made.input.suffix) == (1, 1)


def test_too_short_for_special_tokens(text_source, cache_dir, checkpoint):
    data = text_data(text_config(text_source, cache_dir, max_length=2), tokenizer_source=str(checkpoint))
    with pytest.raises(UserError, match=r"data\.max_length=2: leaves no room beside 2 special tokens; raise it"):
        _ = data.reader.spec


def test_a_directory_without_tokenizer(text_source, tmp_path):
    (tmp_path / "m").mkdir()
    data = text_data(text_config(text_source, tmp_path / "c"), tokenizer_source=str(tmp_path / "m"))
    with pytest.raises(UserError, match=r"^model\.source=.*/m: no tokenizer can be read there: [^\n]*$"):
        _ = data.reader.spec


def test_evaluation_needs_the_test_split_alone(tmp_path, reader):
    source = make_text_source(tmp_path / "s", {"test": 15})
    data = text_data(text_config(source, tmp_path / "c", max_length=3), reader=reader, target_spec=CLASSES["text"])
    assert data.reader.spec is reader.spec
    ids = list(chain.from_iterable(batch.ids.tolist() for batch in data.loader("test")))
    assert sorted(ids) == list(range(15))
    with pytest.raises(UserError, match=r"data\.train_split=train: .* it has test"):
        data.loader("val")


def test_classes_of_another_source(tmp_path, reader, capsys):
    texts = ["a", "b"]

    def labels(name, classes, numbers=(0, 1)):
        rows = {"test": (texts, list(numbers))}
        source = make_text_source(tmp_path / name, rows=rows, classes=classes)
        data = text_data(text_config(source, tmp_path / "c"), reader=reader, target_spec=CLASSES["text"])
        return dict(
            zip(*next(iter((b.ids.tolist(), b.targets["label"].tolist()) for b in data.loader("test"))), strict=True)
        )

    assert labels("same", ["bad", "good"]) == {0: 0, 1: 1}
    assert labels("turned", ["good", "bad"]) == {0: 1, 1: 0}
    assert labels("fewer", ["good"], [0, 0]) == {0: 1, 1: 1}
    assert "warning" not in capsys.readouterr().err
    assert labels("renamed", ["neg", "pos"]) == {0: 0, 1: 1}
    assert "classes neg, pos are taken, in this order, for the model's bad, good" in capsys.readouterr().err
    with pytest.raises(UserError, match="its classes are a, b, c, the model's are bad, good"):
        labels("more", ["a", "b", "c"])


def test_token_budget_reaches_training_batches_only(text_source, cache_dir):
    data = text_data(text_config(text_source, cache_dir, token_budget=48))
    assert all(batch.input.tokens.numel() <= 48 for batch in data.loader("train"))
    assert max(batch.input.tokens.numel() for batch in data.loader("test")) > 48


def test_evaluation_takes_as_many_tokens_as_its_batch_size_of_the_longest(text_source, cache_dir, monkeypatch):
    data = text_data(text_config(text_source, cache_dir, eval_batch_size=4))  # 24 tokens at most, each
    batches = list(data.loader("test"))
    assert all(batch.input.tokens.numel() <= 4 * 24 for batch in batches)
    assert sum(len(batch) for batch in batches) == 40
    assert len(batches) < 10
    monkeypatch.setattr("attnpred.data.batching.CACHED", 48)
    assert all(batch.input.tokens.numel() <= 48 for batch in data.loader("test"))


def test_token_budget_below_one_text(tmp_path):
    with pytest.raises(UserError, match=r"data\.token_budget=10: too small for one text of max_length=24"):
        text_config("builtin:digits", tmp_path, token_budget=10)


def test_text_is_not_augmented(text_source, cache_dir):
    assert text_data(text_config(text_source, cache_dir)).augment(1) is None
