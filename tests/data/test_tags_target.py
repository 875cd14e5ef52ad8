"""Lists of tags: their scheme, what of it the train part lacks, and rows that are wrong."""

import json

import numpy as np
import pytest

from attnpred.config import compose
from attnpred.config.options import DataConfig
from attnpred.config.schema import build
from attnpred.contracts import Batch
from attnpred.data.tags_target import Tags, TagsTarget
from attnpred.errors import UserError
from attnpred.modalities.words.data import WordsData
from tests.data.made import common

WORDS = ("ann", "went", "to", "new", "york", "today")
BIO = ["B-per", "O", "O", "B-loc", "I-loc", "O"]


def made(rows, scheme=None, names=None):
    collector = TagsTarget(["tags"], "data.targets.tags", scheme).collector([names])
    collector.add([rows])
    return collector.finish()


def spec_of(rows, scheme=None, names=None):
    stored = made(rows, scheme, names)
    return TagsTarget(["tags"], "data.targets.tags", scheme).spec(stored, np.arange(len(rows)))


@pytest.mark.parametrize(
    ("rows", "scheme", "tags"),
    [
        ([["O", "B-per"], ["B-loc"]], "bio", ("O", "B-loc", "I-loc", "B-per", "I-per")),
        ([["I-per", "O"]], "bio", ("O", "B-per", "I-per")),
        ([["S-per", "O"]], "bioes", ("O", "B-per", "I-per", "E-per", "S-per")),
        ([["noun", "verb"], ["O"]], "plain", ("O", "noun", "verb")),
        ([["X-a", "Y-b"]], "plain", ("X-a", "Y-b")),
    ],
)
def test_the_scheme_is_told_by_the_tags_and_whole(rows, scheme, tags):
    spec = spec_of(rows)
    assert (spec.scheme, spec.tags) == (scheme, tags)
    assert sum(spec.counts) == sum(map(len, rows))
    assert dict(zip(spec.tags, spec.counts, strict=True))[rows[0][0]] == 1


def test_the_scheme_that_is_asked_for_is_taken():
    assert spec_of([["B-per", "odd"]], "plain").tags == ("B-per", "odd")
    assert spec_of([["B-per"]], "bioes").tags == ("O", "B-per", "I-per", "E-per", "S-per")
    with pytest.raises(UserError, match=r"row 1 is tagged by an unknown scheme: S-per is not of BIO, as B-per is"):
        made([["B-per"], ["O", "S-per"]], "bio")


def test_numbers_among_names_of_the_source_are_tags():
    stored = made([[0, 1], [2]], names=["O", "B-per", "I-per"])
    assert stored.about == {"tags": ["O", "B-per", "I-per"], "scheme": "bio"}
    assert stored.values.tolist() == [[0, 1], [2, -1]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["B-per", "O"], ["O", "PER"]], "row 1 is tagged by an unknown scheme: PER is not of BIO"),
        ([["O"], [3]], "row 1 has the tag 3, which is no name of one"),
        ([["O"], ["O", None]], "row 1 has the tag None"),
        ([["O"], "B-per O"], "holds str values; choose a column of lists, of a tag a word"),
    ],
)
def test_what_is_no_tag_is_named_with_its_row(rows, expected):
    with pytest.raises(UserError, match=expected):
        made(rows)


def test_a_models_tags_are_found_by_their_names():
    target = TagsTarget(["tags"], "data.targets.tags")
    spec = spec_of([["O", "B-per"]])
    other = made([["I-per", "O"], ["B-per"]])
    found = target.adapted(other, np.arange(2), spec, "data.test_split=test")
    assert found.tolist() == [[2, 0], [1, -1]]
    assert target.tensors(found)["tags"].tolist() == [[2, 0], [1, -1]]
    with pytest.raises(UserError, match=r"data\.test_split=test: its tags are B-loc, the model's are O, B-per"):
        target.adapted(made([["B-loc"]]), np.arange(1), spec, "data.test_split=test")


def data(tmp_path, rows, **changes):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = {
        **common(file, tmp_path / "cache"),
        "_target_": "attnpred.modalities.words.data.WordsData",
        "text_column": "tokens",
        "label_column": None,
        "targets": {"tags": "tags"},
        "test_split": None,
        "max_length": 24,
        "tokenizer": {"kind": "wordpiece", "vocab_size": 80, "lowercase": True},
        **changes,
    }
    config = build(DataConfig, values, "data")
    return WordsData(config, TagsTarget(*config.target_columns("tags")))


def rows_of(count=30):
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        order = random.permutation(len(WORDS))[: random.integers(2, len(WORDS) + 1)]
        found.append({"tokens": [WORDS[i] for i in order], "tags": [BIO[i] for i in order]})
    return found


def test_batches_have_a_tag_at_the_first_token_of_each_word(tmp_path):
    rows = rows_of()
    found = data(tmp_path, rows)
    tags = found.target_spec.tags
    seen = set()
    for split in ("train", "val", "test"):
        for batch in found.loader(split):
            assert isinstance(batch, Batch)
            words, targets = batch.inputs["words"], batch.targets["tags"]
            assert targets.shape == words.tokens.shape
            for row, own in zip(batch.ids.tolist(), targets, strict=True):
                assert [tags[tag] for tag in own.tolist() if tag >= 0] == rows[row]["tags"]
                seen.add(row)
            assert ((targets >= 0) == (words.answered() >= 0)).all()
            begins = words.answered() >= 0
            assert (words.words[begins].diff() != 0).any()
    assert seen == set(range(len(rows)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"tags": ["O"]},
            r"row 7 of data\.train_split=train has \d words and 1 tags; mend it, or .*\(in rows\.jsonl\)",
        ),
        ({"tokens": None}, r"row 7 of data\.train_split=train has no words; mend it"),
        ({"tokens": [], "tags": []}, r"data\.train_split=train: row 7 has no tags; .*\(in rows\.jsonl\)"),
        ({"tokens": ["a", 3], "tags": ["O", "O"]}, r"row 7 of data\.train_split=train has no words"),
        ({"tokens": ["a", "b"], "tags": ["O", "PER"]}, r"row 7 is tagged by an unknown scheme.*\(in rows\.jsonl\)"),
        ({"tokens": "a text"}, r"data\.text_column=tokens: holds str values; choose a column of lists of words"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_file(change, expected, tmp_path):
    rows = rows_of()
    rows[7] = {**rows[7], **change}
    with pytest.raises(UserError, match=expected) as error:
        data(tmp_path, rows).loader("train")
    assert "\n" not in str(error.value)


def test_rows_that_are_wrong_can_be_left_out(tmp_path, capsys):
    rows = rows_of()
    rows[7]["tags"] = ["O"] * 9
    found = data(tmp_path, rows, on_bad_row="skip")
    ids = {row for split in ("train", "val", "test") for batch in found.loader(split) for row in batch.ids.tolist()}
    assert ids == set(range(len(rows))) - {7}
    assert "skips 1 of 30 rows" in capsys.readouterr().err


def test_a_source_that_names_its_numbers_is_read(tmp_path):
    import datasets

    words = [row["tokens"] for row in rows_of()]
    names = ["O", "B-per", "I-per", "B-loc", "I-loc"]
    numbers = [[names.index(tag) for tag in row["tags"]] for row in rows_of()]
    features = {
        "tokens": datasets.List(datasets.Value("string")),
        "ner_tags": datasets.List(datasets.ClassLabel(names=names)),
    }
    table = datasets.Dataset.from_dict({"tokens": words, "ner_tags": numbers}, features=datasets.Features(features))
    table.to_parquet(tmp_path / "hub" / "train.parquet")
    found = data(tmp_path, [], source=str(tmp_path / "hub"), targets={"tags": "ner_tags"})
    assert found.target_spec.tags == ("O", "B-loc", "I-loc", "B-per", "I-per")
    for batch in found.loader("train"):
        for row, own in zip(batch.ids.tolist(), batch.targets["tags"].tolist(), strict=True):
            said = [found.target_spec.tags[tag] for tag in own if tag >= 0]
            assert said == rows_of()[row]["tags"]


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": ("O", "B-a")},  # without the inside
        {"tags": ("O", "a", "I-a")},
        {"tags": ("O", "S-a", "I-a")},
        {"scheme": "other"},
        {"counts": (1,)},
        {"tags": ("O", "I-a", "I-a"), "counts": (1, 1, 1)},
    ],
)
def test_a_specification_that_is_none_is_refused(changes):
    good = {"tags": ("O", "B-a", "I-a"), "scheme": "bio", "counts": (1, 1, 1)}
    Tags(**good).check()
    given = {**good, **changes}
    with pytest.raises(ValueError, match="tag"):
        Tags(**{**given, "counts": changes.get("counts", (1,) * len(given["tags"]))}).check()


def test_one_tag_alone_teaches_nothing(tmp_path):
    rows = [{**row, "tags": ["O"] * len(row["tokens"])} for row in rows_of()]
    with pytest.raises(UserError, match="every word has the tag O, from which nothing can be learned"):
        data(tmp_path, rows).loader("train")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["data.evidence_column=where"], r"data\.evidence_column=where: marks characters of a text"),
        (["data.text_column=[a,b]"], r"data\.text_column.* must name one column of lists of words"),
        (["task=classification"], "task=classification: this task reads a target of kind class, the dataset has tags"),
        (["model=resnet_attention"], "this model reads image, the dataset holds words; use model=bert"),
    ],
)
def test_options_that_words_have_no_use_for_are_refused(changes, expected):
    with pytest.raises(UserError, match=expected):
        compose.compose(["model=transformer", "data=tags", *changes])


def test_tags_ask_about_words():
    with pytest.raises(UserError, match="this task asks about words, the dataset holds text; use task=class"):
        compose.compose(["model=transformer", "data=texts", "task=tagging"])
