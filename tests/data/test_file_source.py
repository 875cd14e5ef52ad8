"""One file of one's own as a dataset: CSV, TSV, JSON lines and Parquet, and what is said where it cannot be read."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnpred.config import compose
from attnpred.data.class_target import ClassTarget
from attnpred.data.number_target import NumberTarget
from attnpred.data.open_source import open_source
from attnpred.errors import UserError
from attnpred.modalities.text.data import TextData
from tests.data.made import text_rows

TEXTS, LABELS = text_rows(40)
NAMES = ["good" if label else "bad" for label in LABELS]
COLUMNS = {"data.text_column": "text", "data.label_column": "label"}


def opened(file, *options):
    """The source of `data=texts data.source=FILE`, as the command line gives it."""
    chosen = ["model=transformer", "data=texts", f"data.source={file}", f"data.cache_dir={file.parent / 'cache'}"]
    chosen += ["data.text_column=text", "data.label_column=label"]
    return open_source(compose.compose([*chosen, *options]).data)


def rows(file, columns=COLUMNS, size=7):
    """The columns of a file, as chunks give them."""
    found = [[] for _ in columns]
    for chunk in opened(file).chunks("train", "data.train_split", columns, size):
        assert max(map(len, chunk)) <= size
        for column, values in zip(found, chunk, strict=True):
            column += values
    return found


def text_data(file, target=None, *options):
    chosen = ["model=transformer", "data=texts", f"data.source={file}", f"data.cache_dir={file.parent / 'cache'}"]
    chosen += ["data.text_column=text", "data.label_column=label"]
    config = compose.compose([*chosen, *options]).data
    return TextData(config, target or ClassTarget(["label"], "data.label_column"))


def write(file):
    """The made texts, in the format that the name asks for."""
    if file.suffix == ".parquet":
        pq.write_table(pa.table({"text": TEXTS, "label": NAMES}), file, row_group_size=9)
    elif file.suffix in (".csv", ".tsv"):
        comma = "," if file.suffix == ".csv" else "\t"
        lines = [comma.join(pair) for pair in [("text", "label"), *zip(TEXTS, NAMES, strict=True)]]
        file.write_text("\n".join(lines) + "\n")
    else:
        lines = [json.dumps({"text": t, "label": n}) for t, n in zip(TEXTS, NAMES, strict=True)]
        file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson", "a.json", "a.parquet", "A.CSV"])
def test_every_format_holds_the_same_rows(name, tmp_path):
    file = write(tmp_path / name.lower()).rename(tmp_path / name)
    assert rows(file) == [TEXTS, NAMES]
    assert opened(file).splits() == ["train"]


def test_a_file_is_split_and_batched_as_other_data_are(tmp_path):
    data = text_data(write(tmp_path / "a.csv"))
    assert data.target_spec.classes == ("bad", "good")
    found = {}
    for split in ("train", "val", "test"):
        for batch in data.loader(split):
            found |= dict(zip(batch.ids.tolist(), batch.targets["label"].tolist(), strict=True))
    assert found == dict(enumerate(LABELS))
    sizes = [sum(len(batch) for batch in data.loader(split)) for split in ("train", "val", "test")]
    assert sizes == [32, 4, 4]


def test_a_field_in_quotes_holds_commas_quotes_and_lines(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('text,label\n"one, ""two""\nthree",x\n"",y\nplain,x\n')
    assert rows(file) == [['one, "two"\nthree', "", "plain"], ["x", "y", "x"]]


def test_tabs_part_a_tsv_and_commas_do_not(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text("text\tlabel\none, two\tx\n")
    assert rows(file) == [["one, two"], ["x"]]


@pytest.mark.parametrize("first", ["line one", "zwei"])
def test_a_text_that_is_not_utf8_stays_bytes_and_is_named_by_its_row(first, tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(f"text,label\n{first},x\n".encode() + "café,y\n".encode("latin-1") + b"plain,x\n")
    assert rows(file) == [[first, b"caf\xe9", "plain"], ["x", "y", "x"]]
    with pytest.raises(UserError, match=r"row 1 of data\.train_split=train is no text in UTF-8; .* \(in a\.csv\)$"):
        text_data(file, None, "data.val_split=train", "data.test_split=train").loader("train")


def test_numbers_may_be_missing(tmp_path):
    lines = ["text,score", *(f"{text},{'' if row == 3 else row / 2}" for row, text in enumerate(TEXTS))]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(lines))
    [_, scores] = rows(file, {"data.text_column": "text", "data.label_column": "score"})
    assert scores == [None if row == 3 else row / 2 for row in range(40)]
    target = NumberTarget(["score"], "data.label_column")
    with pytest.raises(UserError, match=r"row 3 has no finite number in score .* \(in a\.csv\)$"):
        text_data(file, target).loader("train")
    found = text_data(file, target, "data.on_bad_row=skip", "data.val_fraction=0.2")
    ids = [row for split in ("train", "val", "test") for batch in found.loader(split) for row in batch.ids.tolist()]
    assert sorted(ids) == [row for row in range(40) if row != 3]


def test_what_a_line_of_json_lacks_is_missing_and_blank_lines_are_none(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "one", "label": 1}\n\n{"label": 2}\n{"label": null, "text": "three", "more": 3}\n')
    assert rows(file, size=2) == [["one", None, "three"], [1, 2, None]]


BAD_LINES = {
    "no JSON": (b"{'text': 1}", "line 2 is not JSON ("),
    "a list": (b'["one", 1]', "line 2 is not a JSON object; write an object a line"),
    "cut off": (b'{"text": "two"', "line 2 is not JSON ("),
    "not UTF-8": (b'{"text": "caf\xe9"}', "line 2 is not UTF-8; convert the file"),
    "nested for ever": (b"[" * 100_000, "line 2 is not JSON ("),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_named(kind, tmp_path):
    line, said = BAD_LINES[kind]
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "one", "label": 1}\n' + line + b"\n")
    with pytest.raises(UserError) as refused:
        rows(file)
    assert str(refused.value).startswith(f"data.source={file}: cannot be read: {said}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b""), ("a.parquet", b"PAR1 nothing PAR1"), ("a.csv", b"text,label\none,x\ntwo,y,z\n"), ("a.tsv", b"")],
)
def test_a_damaged_file_is_named_in_one_line(name, content, tmp_path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError) as refused:
        rows(file)
    assert str(refused.value).startswith(f"data.source={file}: cannot be read: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_without_rows_is_named(name, tmp_path):
    file = tmp_path / name
    file.write_text("text,label\n" if name == "a.csv" else "\n")
    with pytest.raises(UserError, match=r"^data\.train_split=train: this split of .* has no rows"):
        rows(file)


@pytest.mark.parametrize(("name", "ending"), [("a.xlsx", r"\.xlsx"), ("a.txt", r"\.txt"), ("a", "nothing")])
def test_another_kind_of_file_is_told_what_is_read(name, ending, tmp_path):
    (tmp_path / name).write_text("text,label\n")
    with pytest.raises(UserError, match=rf"cannot be read: its name ends in {ending}; bring it into \.csv, \.tsv, "):
        opened(tmp_path / name)


def test_another_column_or_split_is_told_what_there_is(tmp_path):
    file = write(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"^data\.text_column=review: .* has no such column; it has text, label$"):
        text_data(file, None, "data.text_column=review").loader("train")
    with pytest.raises(UserError, match=r"^data\.test_split=test: .* has no such split; it has train$"):
        text_data(file, None, "data.test_split=test").loader("test")
    with pytest.raises(UserError, match=r"^data\.rows=5: .* is not generated; set data\.rows=null$"):
        opened(file, "data.rows=5")


def test_a_changed_file_is_prepared_again(tmp_path, capsys):
    file = write(tmp_path / "a.csv")
    text_data(file).loader("train")
    capsys.readouterr()
    text_data(file).loader("train")
    assert capsys.readouterr().err == ""
    file.write_text(file.read_text() + "one more,good\n")
    data = text_data(file)
    assert sum(len(batch) for split in ("train", "val", "test") for batch in data.loader(split)) == 41
    assert "preparing" in capsys.readouterr().err
