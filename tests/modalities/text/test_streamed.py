"""Texts that are trained on as they are read: nothing of them is kept, and what is wrong with a row is told."""

import csv

import numpy as np
import pytest

from attnpred.cli import main
from attnpred.config.schema import Invalid
from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from tests.data.made import make_text_source, text_config, text_data, text_rows

COUNTS = {"train": 90, "validation": 20, "test": 20}


@pytest.fixture
def reviews(tmp_path):
    """A folder of a CSV a split."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    for seed, (split, count) in enumerate(COUNTS.items()):
        texts, labels = text_rows(count, seed=seed)
        write(folder / f"{split}.csv", texts, [("bad", "good")[label] for label in labels])
    return folder


def write(file, texts, labels):
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *zip(texts, labels, strict=True)])


def streamed(source, cache, **changes):
    splits = {"val_split": "validation", "test_split": "test"}
    small = {"stream": True, "stream_buffer": 32, "batch_size": 8, "max_length": 100}
    return text_data(text_config(source, cache, **{**splits, **small, **changes}))


def test_a_run_prepares_nothing_of_train(reviews, tmp_path):
    cache = tmp_path / "cache"
    place = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={cache}", f"data.source={reviews}", "logger=none"]
    small = ["model.width=8", "model.depth=1", "model.heads=2", "trainer.max_epochs=2", "trainer.attention_examples=8"]
    assert main(["train", "model=transformer", "data=texts", "data.stream=true", *place, *small]) == 0
    kept = sorted(entry.name.partition("-")[0] for entry in cache.iterdir() if entry.is_dir())
    assert kept == ["count", "tokenizer", "tokens", "tokens"]
    run = next((tmp_path / "outputs").rglob("run.json")).parent
    assert main(["evaluate", str(run)]) == 0
    assert main(["explain", str(run), "--split", "val", "--limit", "4"]) == 0


def test_batches_are_of_the_rows_that_they_name(reviews, tmp_path):
    texts, labels = text_rows(COUNTS["train"], seed=0)
    data = streamed(reviews, tmp_path / "cache")
    loader = data.loader("train")
    assert len(loader) == COUNTS["train"] // 8
    rows = []
    for batch in loader:
        for row, label, ids, length in zip(
            batch.ids.tolist(), batch.targets["label"].tolist(), batch.input.tokens, batch.input.lengths, strict=True
        ):
            assert label == labels[row]
            assert ids[:length].tolist() == data.reader.vocabulary.ids([texts[row]])[0]
            rows.append(row)
    assert len(set(rows)) == len(rows) == len(loader) * 8


def test_a_stream_and_a_prepared_split_have_one_target(reviews, tmp_path):
    stream = streamed(reviews, tmp_path / "cache")
    whole = text_data(text_config(reviews, tmp_path / "cache", val_split="validation"))
    assert stream.target_spec.classes == whole.target_spec.classes == ("bad", "good")


@pytest.mark.parametrize("kind", ["csv", "parquet", "built in"])
@pytest.mark.parametrize("start", [0, 1, 6, 7, 50, 90])
def test_sources_are_read_from_a_row_on(kind, start, reviews, tmp_path):
    given = {"csv": reviews / "train.csv", "parquet": tmp_path / "parquet", "built in": "builtin:evidence_text"}[kind]
    if kind == "parquet":
        make_text_source(given, {"train": 90})
    config = text_config(given, tmp_path / "cache", **({"rows": 90} if kind == "built in" else {}))
    source, columns = open_source(config), {"data.text_column": "text"}

    def texts(first):
        chunks = source.chunks("train", "data.train_split", columns, 7, first)
        return [text for (column,) in chunks for text in column]

    assert len(texts(0)) == 90
    assert texts(start) == texts(0)[start:]


@pytest.mark.parametrize(
    "changes",
    [
        {"token_budget": 400},
        {"sampling": "balanced"},
        {"folds": 3, "fold": 0, "val_split": None},
        {"on_bad_row": "skip"},
    ],
    ids=str,
)
def test_what_needs_all_rows_is_refused(changes, reviews, tmp_path):
    with pytest.raises((Invalid, UserError), match=rf"data\.{next(iter(changes))}.*data\.stream=true"):
        streamed(reviews, tmp_path / "cache", **changes)


def test_a_stream_is_not_carved(reviews, tmp_path):
    config = text_config(reviews / "train.csv", tmp_path / "cache", stream=True, val_split=None, test_split=None)
    with pytest.raises(UserError, match=r"data\.stream=true: rows that are read as they come cannot be carved"):
        text_data(config).loader("train")


def test_rows_in_the_order_of_their_labels_are_refused(reviews, tmp_path):
    texts, labels = text_rows(90, seed=0)
    in_order = sorted(zip(texts, [("bad", "good")[label] for label in labels], strict=True), key=lambda row: row[1])
    write(reviews / "train.csv", *zip(*in_order, strict=True))
    said = r"the first 32 rows of data\.train_split=train: every row has the label bad.*data\.stream_buffer=32"
    with pytest.raises(UserError, match=said):
        _ = streamed(reviews, tmp_path / "cache").target_spec
    assert streamed(reviews, tmp_path / "cache", stream_buffer=90).target_spec.classes == ("bad", "good")


def test_a_bad_row_is_named_by_its_number(reviews, tmp_path):
    texts, labels = text_rows(90, seed=0)
    named = [("bad", "good")[label] for label in labels]
    named[41] = ""
    write(reviews / "train.csv", texts, named)
    with pytest.raises(UserError, match=r"row 41 of data\.train_split=train has no label"):
        list(streamed(reviews, tmp_path / "cache").loader("train"))


def test_a_label_that_comes_later_is_named(reviews, tmp_path):
    texts, labels = text_rows(90, seed=0)
    named = [("bad", "good")[label] for label in labels]
    named[80] = "middling"
    write(reviews / "train.csv", texts, named)
    with pytest.raises(UserError, match="middling"):
        list(streamed(reviews, tmp_path / "cache").loader("train"))


def test_the_largest_batch_is_one_of_the_longest(reviews, tmp_path):
    loader = streamed(reviews, tmp_path / "cache").loader("train")
    longest = max(int(batch.input.lengths.max()) for batch in list(loader)[:4])
    assert int(loader.largest().input.lengths.max()) >= longest
    few = list(loader.sample(20))
    assert sorted(np.concatenate([batch.ids for batch in few]).tolist()) == list(range(20))
