"""Pairs of texts: what files hold them, what comes together in a batch, and what is said of faults."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from attnpred.config import compose
from attnpred.config.data_options import TokenizerConfig
from attnpred.errors import UserError
from attnpred.modalities.text import pair_doubts
from attnpred.modalities.text.lossless import train_lossless
from attnpred.modalities.text.pair_columns import pair_in
from attnpred.modalities.text.text_target import Sentences, padded_tokens, read_texts
from attnpred.tasks.translation import Translation
from tests.tasks.test_translation import pairs

TEXTS = ["Ein Schwarz-Weiß-Foto eines Hundes, der nach vorn blickt.", "»Gut«, sagt er; 12,5 % (etwa)!", "Zwei  Männer."]


def data(source, tmp_path, *changes):
    words = ["model=seq2seq", "data=translation", f"data.source={source}", f"data.cache_dir={tmp_path / 'cache'}"]
    words += ["data.tokenizer.vocab_size=90", "data.val_split=null", "data.test_split=null", *changes]
    config = compose.compose(words)
    from attnpred.data import columns

    settled = columns.settled(config.data, config.task)
    target = Translation.target(config.task, *config.task.target_columns(settled))
    from attnpred.modalities.text.translation import TranslationData

    return TranslationData(settled, target)


@pytest.fixture
def corpus(tmp_path):
    rows = list(pairs(60))
    for name, column in (("corpus.en", "english"), ("corpus.de", "german")):
        (tmp_path / name).write_text("".join(row[column] + "\n" for row in rows), encoding="utf-8")
    return tmp_path / "corpus.en+de"


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word"])
def test_tokens_give_the_text_back(kind):
    config = TokenizerConfig(kind=kind, vocab_size=2000, lowercase=False)
    learned = [*TEXTS * 20, *(row["german"] for row in pairs(100))]
    vocabulary = train_lossless(config, learned)
    assert vocabulary.tokenizer_json == train_lossless(config, learned).tokenizer_json
    for text, ids in zip(TEXTS, vocabulary.ids(TEXTS), strict=True):
        assert vocabulary.tokenizer.decode(ids) == " ".join(text.split())


def test_files_that_go_line_by_line_are_pairs(corpus, tmp_path):
    made = data(corpus, tmp_path)
    assert (made.config.source_column, made.config.target_column) == ("en", "de")
    batch = next(iter(made.loader("train")))
    known = {row["english"]: row["german"] for row in pairs(60)}
    spec = made.target_spec
    sources = [made.reader.vocabulary.tokenizer.decode(row.tolist()) for row in batch.input.tokens]
    assert [known[source] for source in sources] == read_texts(batch.targets["text"])
    assert [spec.text(row) for row in batch.targets["tokens"].tolist()] == read_texts(batch.targets["text"])
    assert (batch.targets["tokens"] == spec.end_id).sum(1).eq(1).all()


def test_batches_keep_to_the_budget_of_both_sides(corpus, tmp_path):
    made = data(corpus, tmp_path, "data.token_budget=128", "data.max_length=32", "data.max_target_length=32")
    for batch in made.loader("train"):
        assert batch.input.tokens.numel() + batch.targets["tokens"].numel() <= 128
    lengths = [len(batch) for batch in made.loader("train")]
    assert sum(lengths) == 48
    assert len(lengths) > 4


def test_lines_that_do_not_go_together_are_counted(corpus, tmp_path):
    with (tmp_path / "corpus.de").open("a") as file:
        file.write("zu viel\n")
    with pytest.raises(UserError, match=r"corpus.en has 60 lines, corpus.de has 61 lines; they go together"):
        data(corpus, tmp_path).loader("train")
    (tmp_path / "corpus.de").unlink()
    with pytest.raises(UserError, match=r"corpus.de is no file"):
        data(corpus, tmp_path)


def test_a_split_a_pair_of_files(tmp_path):
    for split, count in (("train", 30), ("val", 5), ("test", 4)):
        for side in ("en", "de"):
            (tmp_path / f"{split}.{side}").write_text(f"{side} a b\n" * count)
    made = data(tmp_path / "*.en+de", tmp_path, "data.val_split=auto", "data.test_split=auto")
    assert [sum(map(len, made.loader(split))) for split in ("train", "val", "test")] == [30, 5, 4]


@pytest.mark.parametrize(("side", "said"), [("german", "has no text on its target's side"), ("english", "has no text")])
def test_an_empty_side_is_named_or_left_out(side, said, tmp_path):
    rows = list(pairs(30))
    rows[7] = {**rows[7], side: None}
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = ["data.source_column=english", "data.target_column=german"]
    with pytest.raises(UserError, match=f"row 7 .*{said}"):
        data(file, tmp_path, *named).loader("train")
    kept = data(file, tmp_path, *named, "data.on_bad_row=skip")
    assert sum(len(batch) for split in ("train", "val", "test") for batch in kept.loader(split)) == 29


def test_what_is_cut_or_in_another_script_is_told(corpus, tmp_path, capsys):
    lines = (tmp_path / "corpus.de").read_text().splitlines()
    lines[::9] = ["старая собака бежит"] * len(lines[::9])
    (tmp_path / "corpus.de").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data(corpus, tmp_path, "data.max_length=4").check()
    said = capsys.readouterr().err
    assert "longer than data.max_length=4 allows, and are cut" in said
    assert "data.target_column=de: " in said
    assert "texts are not in LATIN as the others are" in said
    assert pair_doubts.odd_scripts(["a b", "c", "1 2"], "x") is None


def test_columns_are_told_by_name_or_because_there_are_but_two():
    row = {"id": [1], "document": ["a"], "summary": ["b"], "note": ["c"]}
    assert pair_in(row, None, None, "f") == ("document", "summary")
    assert pair_in({"a": ["x"], "b": ["y"]}, "b", None, "f") == ("b", "a")
    assert pair_in({"n": [1], "a": ["x"], "b": ["y"]}, None, None, "f") == ("a", "b")
    with pytest.raises(UserError, match=r"which column of f is read, and which answers it\? There is a, b, c"):
        pair_in({"a": ["x"], "b": ["y"], "c": ["z"]}, None, None, "f")


def test_a_text_cannot_end_an_answer_by_spelling_the_end():
    spec = Sentences(tokenizer="", vocab_size=9, unknown_id=1, begin_id=2, end_id=3, max_length=4, shared=True)
    rows = [np.array([5, 3, 6]), np.array([5, 6, 7, 8, 5])]
    assert torch.equal(padded_tokens(rows, spec), torch.tensor([[5, 6, 3, -1], [5, 6, 7, 8]]))


def test_a_checkpoint_whose_tokenizer_ends_no_text_is_refused(corpus, tmp_path):
    from transformers import PreTrainedTokenizerFast

    vocabulary = train_lossless(TokenizerConfig(kind="word", vocab_size=50, lowercase=False), ["a b c"])
    place = tmp_path / "checkpoint"
    fast = PreTrainedTokenizerFast(tokenizer_object=vocabulary.tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(place)
    made = data(corpus, tmp_path)
    made._tokenizer_source = str(place)
    assert Path(place).is_dir()
    with pytest.raises(UserError, match="puts no end behind a text"):
        _ = made.target_spec
